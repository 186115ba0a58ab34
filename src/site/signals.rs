//! SIGINT and SIGTERM, caught once for the whole process.
//!
//! As process 1 of a container the default actions do not apply, so without this a cancelled step
//! would be killed hard after ten seconds and its helper would go on. The handler itself only wakes
//! a thread (signal-hook), which tells whoever listens; a signal that comes while nobody listens is
//! kept for the next one who does.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals as Incoming;
use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use crate::workers;

type Callback = Box<dyn FnMut(i32) + Send>;

#[derive(Default)]
struct ListenerRegistry {
    listeners: Vec<(u64, Callback)>,
    /// Signals that nobody has heard yet.
    pending: Vec<i32>,
    next_id: u64,
}

/// The process's signals. There is one, from [`install`].
#[derive(Clone)]
pub struct Signals {
    registry: Arc<Mutex<ListenerRegistry>>,
}

/// Hears signals until it is dropped.
#[must_use]
pub struct Listener {
    registry: Arc<Mutex<ListenerRegistry>>,
    id: u64,
}

static INSTALLED: OnceLock<Signals> = OnceLock::new();

/// Catches SIGINT and SIGTERM from now on. Later calls give the same object.
pub fn install() -> io::Result<Signals> {
    if let Some(signals) = INSTALLED.get() {
        return Ok(signals.clone());
    }
    let mut incoming = Incoming::new([SIGINT, SIGTERM])?;
    let signals = Signals {
        registry: Arc::default(),
    };
    let board = Arc::clone(&signals.registry);
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in &mut incoming {
                dispatch(&board, signal);
            }
        })?;
    // Of two first callers the loser's thread tells a board without listeners, which harms nobody;
    // both use one.
    Ok(INSTALLED.get_or_init(|| signals).clone())
}

fn dispatch(board: &Mutex<ListenerRegistry>, signal: i32) {
    let mut board = workers::lock(board);
    if board.listeners.is_empty() {
        board.pending.push(signal);
    }
    for (_, hear) in &mut board.listeners {
        hear(signal);
    }
}

impl Signals {
    /// Calls `hear` with the number of every signal, on the signals' own thread, until the listener
    /// is dropped.
    pub fn listen(&self, mut hear: impl FnMut(i32) + Send + 'static) -> Listener {
        let mut board = workers::lock(&self.registry);
        for signal in std::mem::take(&mut board.pending) {
            hear(signal);
        }
        let number = board.next_id;
        board.next_id += 1;
        board.listeners.push((number, Box::new(hear)));
        Listener {
            registry: Arc::clone(&self.registry),
            id: number,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut board = workers::lock(&self.registry);
        board.listeners.retain(|(number, _)| *number != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_signal_nobody_heard_waits_for_the_next_listener() {
        let signals = Signals {
            registry: Arc::default(),
        };
        dispatch(&signals.registry, SIGTERM);
        let (send, heard) = mpsc::channel();
        let listener = signals.listen(move |signal| send.send(signal).unwrap());
        dispatch(&signals.registry, SIGINT);
        drop(listener);
        dispatch(&signals.registry, SIGTERM);
        assert_eq!(heard.into_iter().collect::<Vec<_>>(), [SIGTERM, SIGINT]);
    }
}
