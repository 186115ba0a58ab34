//! Jobs through the program and the real cargo, compared with builds from an empty target
//! directory.

pub(crate) mod built;
pub(crate) mod files;
pub(crate) mod host;
pub(crate) mod place;

pub(crate) use files::Files;
pub(crate) use host::{BUILD, Hit, Host, TESTS};
