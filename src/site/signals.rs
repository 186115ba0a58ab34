//! SIGINT and SIGTERM, caught once for the whole process.
//!
//! The default actions of signals do not apply to process 1 of a container. Without a handler, a
//! cancelled step would be killed after ten seconds and its helper would continue. The handler only
//! wakes a thread (signal-hook), which calls the listeners. A signal that arrives while there is no
//! listener is kept for the next one.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals as Incoming;
use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use crate::workers;

type Callback = Box<dyn FnMut(i32) + Send>;

#[derive(Default)]
struct ListenerRegistry {
    listeners: Vec<(u64, Callback)>,
    /// Signals that arrived while there was no listener.
    pending: Vec<i32>,
    next_id: u64,
}

/// The signals of this process, from [`install`].
#[derive(Clone)]
pub struct Signals {
    registry: Arc<Mutex<ListenerRegistry>>,
}

/// Receives signals until it is dropped.
#[must_use]
pub(crate) struct Listener {
    registry: Arc<Mutex<ListenerRegistry>>,
    id: u64,
}

static INSTALLED: OnceLock<Signals> = OnceLock::new();

/// Catches SIGINT and SIGTERM from now on. Later calls return the same object.
pub fn install() -> io::Result<Signals> {
    if let Some(signals) = INSTALLED.get() {
        return Ok(signals.clone());
    }
    let mut incoming = Incoming::new([SIGINT, SIGTERM])?;
    let signals = Signals {
        registry: Arc::default(),
    };
    let registry = Arc::clone(&signals.registry);
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in &mut incoming {
                dispatch(&registry, signal);
            }
        })?;
    // If two threads get here at once, both use one object. The other object's thread has no
    // listeners and does nothing.
    Ok(INSTALLED.get_or_init(|| signals).clone())
}

fn dispatch(registry: &Mutex<ListenerRegistry>, signal: i32) {
    let mut registry = workers::lock(registry);
    if registry.listeners.is_empty() {
        registry.pending.push(signal);
    }
    for (_, callback) in &mut registry.listeners {
        callback(signal);
    }
}

impl Signals {
    /// Calls `callback` with the number of each signal until the listener is dropped. Signals are
    /// delivered on a thread of their own.
    pub(crate) fn listen(&self, mut callback: impl FnMut(i32) + Send + 'static) -> Listener {
        let mut registry = workers::lock(&self.registry);
        for signal in std::mem::take(&mut registry.pending) {
            callback(signal);
        }
        let id = registry.next_id;
        registry.next_id += 1;
        registry.listeners.push((id, Box::new(callback)));
        Listener {
            registry: Arc::clone(&self.registry),
            id,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut registry = workers::lock(&self.registry);
        registry.listeners.retain(|(id, _)| *id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_signal_without_a_listener_is_kept_for_the_next_one() {
        let signals = Signals {
            registry: Arc::default(),
        };
        dispatch(&signals.registry, SIGTERM);
        let (sender, receiver) = mpsc::channel();
        let listener = signals.listen(move |signal| sender.send(signal).unwrap());
        dispatch(&signals.registry, SIGINT);
        drop(listener);
        dispatch(&signals.registry, SIGTERM);
        assert_eq!(receiver.into_iter().collect::<Vec<_>>(), [SIGTERM, SIGINT]);
    }
}
