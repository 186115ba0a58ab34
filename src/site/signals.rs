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

type Hear = Box<dyn FnMut(i32) + Send>;

#[derive(Default)]
struct Board {
    listeners: Vec<(u64, Hear)>,
    /// Signals that nobody has heard yet.
    unheard: Vec<i32>,
    next: u64,
}

/// The process's signals. There is one, from [`install`].
#[derive(Clone)]
pub struct Signals {
    board: Arc<Mutex<Board>>,
}

/// Hears signals until it is dropped.
#[must_use]
pub struct Listener {
    board: Arc<Mutex<Board>>,
    number: u64,
}

static INSTALLED: OnceLock<Signals> = OnceLock::new();

/// Catches SIGINT and SIGTERM from now on. Later calls give the same object.
pub fn install() -> io::Result<Signals> {
    if let Some(signals) = INSTALLED.get() {
        return Ok(signals.clone());
    }
    let mut incoming = Incoming::new([SIGINT, SIGTERM])?;
    let signals = Signals {
        board: Arc::default(),
    };
    let board = Arc::clone(&signals.board);
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in &mut incoming {
                tell(&board, signal);
            }
        })?;
    // Of two first callers the loser's thread tells a board without listeners, which harms nobody;
    // both use one.
    Ok(INSTALLED.get_or_init(|| signals).clone())
}

fn tell(board: &Mutex<Board>, signal: i32) {
    let mut board = workers::lock(board);
    if board.listeners.is_empty() {
        board.unheard.push(signal);
    }
    for (_, hear) in &mut board.listeners {
        hear(signal);
    }
}

impl Signals {
    /// Calls `hear` with the number of every signal, on the signals' own thread, until the listener
    /// is dropped.
    pub fn listen(&self, mut hear: impl FnMut(i32) + Send + 'static) -> Listener {
        let mut board = workers::lock(&self.board);
        for signal in std::mem::take(&mut board.unheard) {
            hear(signal);
        }
        let number = board.next;
        board.next += 1;
        board.listeners.push((number, Box::new(hear)));
        Listener {
            board: Arc::clone(&self.board),
            number,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut board = workers::lock(&self.board);
        board.listeners.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_signal_nobody_heard_waits_for_the_next_listener() {
        let signals = Signals {
            board: Arc::default(),
        };
        tell(&signals.board, SIGTERM);
        let (send, heard) = mpsc::channel();
        let listener = signals.listen(move |signal| send.send(signal).unwrap());
        tell(&signals.board, SIGINT);
        drop(listener);
        tell(&signals.board, SIGTERM);
        assert_eq!(heard.into_iter().collect::<Vec<_>>(), [SIGTERM, SIGINT]);
    }
}
