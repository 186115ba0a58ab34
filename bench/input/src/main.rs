//! Nothing: the dependencies are the input.

fn main() {}
