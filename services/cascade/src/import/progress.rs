//! How far an import is, for whoever waits: a bar on a terminal, else a line now and then.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use stream::clock::Tick;

/// A bar is drawn this often; a line is written where there is no terminal.
const BAR: Duration = Duration::from_millis(200);
const LINE: Duration = Duration::from_secs(10);

/// Cells of the bar.
const CELLS: u64 = 30;

/// Tells progress on stderr.
pub struct Progress {
    what: &'static str,
    bytes: u64,
    begun: Tick,
    told: Tick,
    is_terminal: bool,
    has_told: bool,
}

impl Progress {
    /// Begins; `bytes` is the length of the file.
    pub fn begin(what: &'static str, bytes: u64) -> Self {
        let (now, is_terminal) = (Tick::now(), std::io::stderr().is_terminal());
        Progress { what, bytes, begun: now, told: now, is_terminal, has_told: false }
    }

    /// So many records are done, and so many bytes.
    pub fn at(&mut self, records: u64, bytes: u64) {
        let pause = if self.is_terminal { BAR } else { LINE };
        if self.told.elapsed() < pause {
            return;
        }
        self.told = Tick::now();
        self.has_told = true;
        let (start, end) = if self.is_terminal { ("\r", "") } else { ("", "\n") };
        // Nobody is left to tell if stderr is closed.
        let _ = write!(std::io::stderr(), "{start}{}{end}", self.words(records, bytes));
    }

    fn words(&self, records: u64, bytes: u64) -> String {
        let done = bytes.min(self.bytes);
        let cells = usize::try_from(CELLS * done / self.bytes.max(1)).unwrap_or_default();
        let bar = format!("{}{}", "#".repeat(cells), ".".repeat(CELLS as usize - cells));
        let percent = 100 * done / self.bytes.max(1);
        let seconds = self.begun.elapsed().as_secs().max(1);
        format!("[{bar}] {percent:>3} %  {records} {}, {} a second", self.what, records / seconds)
    }

    /// Leaves the line to what comes.
    pub fn end(&self) {
        if self.is_terminal && self.has_told {
            let _ = writeln!(std::io::stderr());
        }
    }
}
