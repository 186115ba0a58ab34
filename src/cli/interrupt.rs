//! SIGINT, SIGTERM and SIGHUP for commands; the action handles signals itself.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// Sets `interrupted` on the first signal; the second one ends the program at once.
pub(super) fn listen(interrupted: &Arc<AtomicBool>) -> io::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // Handlers run in the order of registration. The shutdown has to see the flag of the
        // previous signal, so it comes first.
        flag::register_conditional_shutdown(signal, 1, Arc::clone(interrupted))?;
        flag::register(signal, Arc::clone(interrupted))?;
    }
    Ok(())
}
