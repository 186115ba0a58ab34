//! Operations on a store: free space, random sequences, several processes at once.

mod concurrency;
mod free_space;
mod model;
