//! All integration tests in one binary: one link, one place for what they share.

mod pattern;
