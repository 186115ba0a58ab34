//! Ctrl-C and its like.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// Sets `interrupted` when the terminal, the user or the system asks the program to end; when it is
/// asked twice, the program ends at once.
pub(super) fn listen(interrupted: &Arc<AtomicBool>) -> io::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // In this order: the first signal arms what the second sets off.
        flag::register_conditional_shutdown(signal, 1, Arc::clone(interrupted))?;
        flag::register(signal, Arc::clone(interrupted))?;
    }
    Ok(())
}
