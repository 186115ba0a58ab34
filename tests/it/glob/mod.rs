//! Path patterns and `hashFiles`, compared with GitHub's own programs.

mod hash_files;
mod patterns;
