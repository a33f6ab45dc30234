//! What was done and seen, line by line: JSON objects in the order in which they happened.

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Write},
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::Instant,
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::{Error, MessageId};

/// A line of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Microseconds since the run began.
    pub time_us: u64,
    /// Who: a number for each connection, also of the same client; 0 for the run itself.
    pub process: u32,
    /// What.
    #[serde(flatten)]
    pub operation: Operation,
    /// How it went.
    pub outcome: Outcome,
}

/// Something done or seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
pub enum Operation {
    /// A process connects.
    Connect,
    /// A message is published, with a confirm asked for.
    Publish {
        /// Which.
        id: MessageId,
        /// Where to.
        queue: u32,
    },
    /// A message is delivered.
    Deliver {
        /// Which; nothing where the body is none that the run has made.
        id: Option<MessageId>,
        /// From where.
        queue: u32,
        /// Marked as one that may have been delivered before.
        redelivered: bool,
    },
    /// A delivery is acknowledged.
    Acknowledge {
        /// Which.
        id: MessageId,
        /// From where it came.
        queue: u32,
        /// What tells that the broker has seen it.
        answer: Answer,
    },
    /// A delivery is given back.
    Requeue {
        /// Which.
        id: MessageId,
        /// From where it came.
        queue: u32,
    },
    /// The broker is killed.
    Kill,
    /// The broker is there again.
    Restart,
    /// The socket of a process is dropped.
    Cut {
        /// Whose.
        victim: u32,
    },
}

/// basic.ack has no answer of its own. What comes after it and has one, has it after the ack is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The answer to a later method of the channel: settled for as long as the broker lives.
    Later,
    /// tx.commit-ok: settled for good.
    Commit,
}

/// How an operation went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It has begun; another line tells the rest, unless nobody lived to write it.
    Started,
    /// Done.
    Ok,
    /// Refused: it has not happened.
    Fail,
    /// The answer never came: it may have happened.
    Unknown,
}

/// Writes a history while it happens. Time is taken under the lock: the order of lines is the order of times.
pub struct Recorder {
    start: Instant,
    next_process: AtomicU32,
    inner: Mutex<Inner>,
}

struct Inner {
    events: Vec<Event>,
    file: BufWriter<File>,
    failure: Option<std::io::Error>,
}

impl Recorder {
    /// An empty history in a new file.
    ///
    /// # Errors
    ///
    /// Where the file cannot be created.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let file = File::create(path).map_err(|reason| Error::history(path, reason))?;
        Ok(Self {
            start: Instant::now(),
            next_process: AtomicU32::new(1),
            inner: Mutex::new(Inner { events: Vec::new(), file: BufWriter::new(file), failure: None }),
        })
    }

    /// A number for a new process.
    pub fn process(&self) -> u32 {
        self.next_process.fetch_add(1, Ordering::Relaxed)
    }

    /// Adds a line.
    pub fn record(&self, process: u32, operation: Operation, outcome: Outcome) {
        let mut inner = self.inner.lock();
        let time_us = self.start.elapsed().as_micros() as u64;
        inner.append(Event { time_us, process, operation, outcome });
    }

    /// All lines so far.
    ///
    /// # Errors
    ///
    /// Where one of them could not be written.
    pub fn events(&self, path: &Path) -> Result<Vec<Event>, Error> {
        let mut inner = self.inner.lock();
        let written = match inner.failure.take() {
            Some(failure) => Err(failure),
            None => inner.file.flush(),
        };
        written.map_err(|reason| Error::history(path, reason))?;
        Ok(inner.events.clone())
    }
}

impl Inner {
    fn append(&mut self, event: Event) {
        let written = serde_json::to_string(&event).map_err(std::io::Error::from).and_then(|mut line| {
            line.push('\n');
            self.file.write_all(line.as_bytes())
        });
        // The first failure is the one that tells why.
        if let (Err(failure), None) = (written, &self.failure) {
            self.failure = Some(failure);
        }
        self.events.push(event);
    }
}

/// Reads a history. A last line that was cut off is left out: the run was ended.
///
/// # Errors
///
/// Where the file cannot be read, or a line in it is none of a history.
pub fn read(path: &Path) -> Result<Vec<Event>, Error> {
    let file = File::open(path).map_err(|reason| Error::history(path, reason))?;
    let mut lines = BufReader::new(file).lines().enumerate().peekable();
    let mut events = Vec::new();
    while let Some((index, line)) = lines.next() {
        let line = line.map_err(|reason| Error::history(path, reason))?;
        match serde_json::from_str(&line) {
            Ok(event) => events.push(event),
            Err(_) if lines.peek().is_none() => {}
            Err(reason) => return Err(Error::Line { path: path.to_owned(), number: index + 1, reason }),
        }
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const ID: MessageId = MessageId { producer: 3, sequence: 9 };

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let recorder = Recorder::create(&path).unwrap();
        recorder.record(3, Operation::Publish { id: ID, queue: 1 }, Outcome::Started);
        recorder.record(4, Operation::Deliver { id: Some(ID), queue: 1, redelivered: true }, Outcome::Ok);
        recorder.record(4, Operation::Acknowledge { id: ID, queue: 1, answer: Answer::Commit }, Outcome::Unknown);
        recorder.record(0, Operation::Cut { victim: 4 }, Outcome::Ok);
        let events = recorder.events(&path).unwrap();
        assert_eq!(events.len(), 4);
        assert_eq!(read(&path).unwrap(), events);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.contains(r#""process":3,"operation":"publish","id":"3-9","queue":1,"outcome":"started"}"#),
            "{text}"
        );
    }

    #[test]
    fn a_cut_off_last_line_is_left_out_and_another_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let line = r#"{"time_us":1,"process":0,"operation":"kill","outcome":"ok"}"#;
        std::fs::write(&path, format!("{line}\n{line}\n{{\"time_us\":2")).unwrap();
        assert_eq!(read(&path).unwrap().len(), 2);
        std::fs::write(&path, format!("{line}\nnonsense\n{line}\n")).unwrap();
        assert!(matches!(read(&path), Err(Error::Line { number: 2, .. })));
    }
}
