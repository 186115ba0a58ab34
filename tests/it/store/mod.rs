//! The store: what it keeps, what it removes, and what it survives.

mod aged;
mod concurrent;
mod crash;
mod damage;
mod hostile;
mod limits;
mod many;
mod matrix;
mod power;
mod prepared;
mod ready;
mod retention;
mod shared;
mod space;
mod turn;
mod users;
