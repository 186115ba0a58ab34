//! What a Cargo project needs kept, and under which key.

pub mod cargo;
