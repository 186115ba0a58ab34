//! Path patterns with the rules of GitHub's own glob library.
