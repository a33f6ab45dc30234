//! What the program under test did to its files, in order.
//!
//! An entry is `length: u32 | time_ns: u64 | kind: u8 | numbers and texts`, all little-endian; texts carry their length.
//! It is appended in one write behind the operation itself. So an entry that is there was done; and a journal may end in
//! the middle of one, when its process was killed.

/// An operation that succeeded, or the beginning or end of a sync. Paths are relative to the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    /// A process begins.
    Start,
    /// A file or folder was opened, and created if it was not there. `handle` names this opening.
    Open {
        /// Used once only, over all processes.
        handle: u64,
        /// What was opened.
        path: &'a str,
        /// Whether it was emptied.
        truncates: bool,
    },
    /// Data was written.
    Write {
        /// Into what.
        handle: u64,
        /// Where in the file.
        offset: u64,
        /// What.
        data: &'a [u8],
    },
    /// A file was cut or extended.
    Resize {
        /// Which.
        handle: u64,
        /// Its size now.
        size: u64,
    },
    /// A sync begins: it will cover what is before this entry.
    SyncBegin {
        /// Of what.
        handle: u64,
        /// Names this sync.
        sync: u64,
    },
    /// A sync has ended.
    SyncEnd {
        /// Which.
        sync: u64,
        /// Whether it succeeded.
        succeeded: bool,
    },
    /// A name was changed; what had the new one before has lost it.
    Rename {
        /// The old name.
        from: &'a str,
        /// The new one.
        to: &'a str,
    },
    /// A file got another name.
    Link {
        /// The name it has.
        from: &'a str,
        /// The one it got.
        to: &'a str,
    },
    /// A name of a file, or an empty folder, was removed.
    Remove {
        /// The name.
        path: &'a str,
    },
    /// A folder was made.
    MakeFolder {
        /// Its name.
        path: &'a str,
    },
}

/// An operation and when it was noted, by [`now_ns`](crate::now_ns).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// After the operation, before its caller heard of it.
    pub time_ns: u64,
    /// What was done.
    pub operation: Operation<'a>,
}

/// Appends an entry to `out`.
pub fn encode(out: &mut Vec<u8>, entry: &Entry<'_>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    number(out, entry.time_ns);
    match entry.operation {
        Operation::Start => out.push(0),
        Operation::Open { handle, path, truncates } => {
            out.push(1);
            number(out, handle);
            text(out, path.as_bytes());
            number(out, u64::from(truncates));
        }
        Operation::Write { handle, offset, data } => {
            out.push(2);
            number(out, handle);
            number(out, offset);
            text(out, data);
        }
        Operation::Resize { handle, size } => {
            out.push(3);
            number(out, handle);
            number(out, size);
        }
        Operation::SyncBegin { handle, sync } => {
            out.push(4);
            number(out, handle);
            number(out, sync);
        }
        Operation::SyncEnd { sync, succeeded } => {
            out.push(5);
            number(out, sync);
            number(out, u64::from(succeeded));
        }
        Operation::Rename { from, to } => two_texts(out, 6, from, to),
        Operation::Link { from, to } => two_texts(out, 7, from, to),
        Operation::Remove { path } => {
            out.push(8);
            text(out, path.as_bytes());
        }
        Operation::MakeFolder { path } => {
            out.push(9);
            text(out, path.as_bytes());
        }
    }
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn text(out: &mut Vec<u8>, text: &[u8]) {
    number(out, text.len() as u64);
    out.extend_from_slice(text);
}

fn two_texts(out: &mut Vec<u8>, kind: u8, from: &str, to: &str) {
    out.push(kind);
    text(out, from.as_bytes());
    text(out, to.as_bytes());
}

/// The entries of a journal up to the first incomplete one.
pub fn entries(journal: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    let mut rest = journal;
    std::iter::from_fn(move || {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let (entry, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        rest = behind;
        Reader(entry).entry()
    })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn entry(mut self) -> Option<Entry<'a>> {
        let time_ns = self.number()?;
        let (&kind, rest) = self.0.split_first()?;
        self.0 = rest;
        let operation = match kind {
            0 => Operation::Start,
            1 => Operation::Open { handle: self.number()?, path: self.text()?, truncates: self.number()? != 0 },
            2 => Operation::Write { handle: self.number()?, offset: self.number()?, data: self.bytes()? },
            3 => Operation::Resize { handle: self.number()?, size: self.number()? },
            4 => Operation::SyncBegin { handle: self.number()?, sync: self.number()? },
            5 => Operation::SyncEnd { sync: self.number()?, succeeded: self.number()? != 0 },
            6 => Operation::Rename { from: self.text()?, to: self.text()? },
            7 => Operation::Link { from: self.text()?, to: self.text()? },
            8 => Operation::Remove { path: self.text()? },
            9 => Operation::MakeFolder { path: self.text()? },
            _ => return None,
        };
        Some(Entry { time_ns, operation })
    }

    fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_back_up_to_a_torn_one() {
        let operations = [
            Operation::Start,
            Operation::Open { handle: 1, path: "a", truncates: true },
            Operation::Write { handle: 1, offset: 7, data: b"data" },
            Operation::Resize { handle: 1, size: 3 },
            Operation::SyncBegin { handle: 1, sync: 9 },
            Operation::SyncEnd { sync: 9, succeeded: false },
            Operation::Rename { from: "a", to: "b" },
            Operation::Link { from: "b", to: "c" },
            Operation::Remove { path: "c" },
            Operation::MakeFolder { path: "d" },
        ];
        let mut journal = Vec::new();
        for (time_ns, operation) in (1..).zip(operations) {
            encode(&mut journal, &Entry { time_ns, operation });
        }
        let found: Vec<_> = entries(&journal).map(|entry| (entry.time_ns, entry.operation)).collect();
        assert_eq!(found, (1..).zip(operations).collect::<Vec<_>>());
        journal.pop();
        assert_eq!(entries(&journal).count(), operations.len() - 1);
    }
}
