//! Name patterns: the regular expressions of permissions and policies.
//!
//! RabbitMQ searches with Erlang's `re:run`: unanchored, over bytes. So does [`Pattern`], with the `regex` crate, which
//! takes time linear in the name whatever the pattern: nobody can write a permission that stalls the broker. What that
//! crate lacks is look-ahead, and one use of it is everywhere in RabbitMQ configurations: `^(?!amq\.).*`, "all but
//! the broker's own". Look-aheads right after a leading `^` are therefore taken off and checked on their own.
//!
//! Not taken: a backtracking engine (`fancy-regex`, PCRE) with a step limit, as RabbitMQ has, where a pattern that
//! runs into the limit silently matches nothing.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

/// Longest pattern, in bytes. RabbitMQ's limit.
pub const PATTERN_BYTES_MAX: usize = 1024;

/// Memory that a compiled pattern may take, in bytes, so that `(((a{99}){99}){99}` is refused rather than built.
const COMPILED_BYTES_MAX: usize = 256 * 1024;

/// A compiled pattern together with its source.
#[derive(Clone)]
pub struct Pattern {
    source: Box<str>,
    matcher: Matcher,
}

/// The patterns that nearly every permission has are not worth a regular expression each.
#[derive(Clone)]
enum Matcher {
    Everything,
    EmptyName,
    Search { guards: Vec<Guard>, expression: Regex },
}

/// A look-ahead at the start of a name.
#[derive(Clone)]
struct Guard {
    expression: Regex,
    expected: bool,
}

/// Why a pattern is refused. The texts go after the name of what the pattern is for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Longer than [`PATTERN_BYTES_MAX`].
    #[error("must not exceed {PATTERN_BYTES_MAX} bytes")]
    TooLong,
    /// Not a regular expression, or one that cannot be offered: back-references, look-behind, look-ahead elsewhere
    /// than at the start, or too much memory.
    #[error("should be regular expression but is invalid: {0}")]
    Invalid(String),
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// Where it is too long, malformed or too large when compiled.
    pub fn new(source: &str) -> Result<Self, PatternError> {
        if source.len() > PATTERN_BYTES_MAX {
            return Err(PatternError::TooLong);
        }
        let matcher = match source {
            "" | ".*" | "^" | "^.*" => Matcher::Everything,
            "^$" => Matcher::EmptyName,
            _ => search(source)?,
        };
        Ok(Self { source: source.into(), matcher })
    }

    /// What it was compiled from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// True when the pattern is found in the name. Names are taken as bytes: a routing key need not be UTF-8.
    #[must_use]
    pub fn matches(&self, name: &[u8]) -> bool {
        match &self.matcher {
            Matcher::Everything => true,
            Matcher::EmptyName => name.is_empty(),
            Matcher::Search { guards, expression } => {
                guards.iter().all(|guard| guard.expression.is_match(name) == guard.expected)
                    && expression.is_match(name)
            }
        }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Pattern({:?})", self.source)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

fn search(source: &str) -> Result<Matcher, PatternError> {
    let mut guards = Vec::new();
    let mut rest = source;
    if let Some(after) = source.strip_prefix('^') {
        let mut after = after;
        while let Some((guard, remainder)) = leading_look_ahead(after) {
            guards.push(Guard { expression: compile(&format!("^(?:{})", guard.inner))?, expected: guard.expected });
            after = remainder;
        }
        // With an alternative at the top, the look-ahead holds for the first branch only.
        if !guards.is_empty() && !has_alternative(after) {
            rest = after;
        } else {
            guards.clear();
        }
    }
    let expression = if guards.is_empty() { compile(rest)? } else { compile(&format!("^{rest}"))? };
    Ok(Matcher::Search { guards, expression })
}

/// Byte-wise as Erlang's `re` is; a pattern that needs characters (`[é]`, `\p{L}`) gets them.
fn compile(source: &str) -> Result<Regex, PatternError> {
    let build = |unicode| {
        RegexBuilder::new(source)
            .unicode(unicode)
            .size_limit(COMPILED_BYTES_MAX)
            .dfa_size_limit(COMPILED_BYTES_MAX)
            .build()
    };
    build(false).or_else(|_| build(true)).map_err(|error| PatternError::Invalid(reason(&error)))
}

/// The crate draws the pattern with a caret under the fault; what remains useful in one line is the last one.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

struct LookAhead<'a> {
    inner: &'a str,
    expected: bool,
}

/// `(?!inner)` or `(?=inner)` at the start, and what follows it.
fn leading_look_ahead(source: &str) -> Option<(LookAhead<'_>, &str)> {
    let expected = match source.as_bytes() {
        [b'(', b'?', b'!', ..] => false,
        [b'(', b'?', b'=', ..] => true,
        _ => return None,
    };
    let mut depth = 0_usize;
    for (index, byte) in structure(source) {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some((LookAhead { inner: &source[3..index], expected }, &source[index + 1..]));
        }
    }
    None
}

/// True when there is a `|` outside all groups.
fn has_alternative(source: &str) -> bool {
    let mut depth = 0_usize;
    structure(source).any(|(_, byte)| {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        byte == b'|' && depth == 0
    })
}

/// The parentheses and bars of a pattern that are neither escaped nor in a character class.
fn structure(source: &str) -> impl Iterator<Item = (usize, u8)> {
    let (mut escaped, mut class_start) = (false, None);
    source.bytes().enumerate().filter(move |&(index, byte)| {
        if std::mem::take(&mut escaped) {
            return false;
        }
        match (byte, class_start) {
            (b'\\', _) => escaped = true,
            (b'[', None) => class_start = Some(index),
            // `[]…` and `[^]…`: a closing bracket in first place stands for itself.
            (b']', Some(start)) if index - start > 1 && !source[start..index].ends_with("[^") => class_start = None,
            (b'(' | b')' | b'|', None) => return true,
            _ => {}
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::new(pattern).unwrap().matches(name.as_bytes())
    }

    #[test]
    fn searches_anywhere_unless_anchored() {
        assert!(matches("dl", "middle"));
        assert!(!matches("^dl", "middle"));
        assert!(matches("^(a|b)\\.", "b.c"));
        assert!(matches(".*", "") && matches("", "anything"));
        assert!(matches("^$", "") && !matches("^$", "x"));
    }

    #[test]
    fn takes_names_as_bytes() {
        assert!(Pattern::new("^.{2}$").unwrap().matches(b"\xff\xfe"));
        assert!(matches("[é]", "café"), "classes of characters work all the same");
        assert!(matches("é$", "café"));
    }

    #[test]
    fn look_ahead_at_the_start() {
        assert!(matches(r"^(?!amq\.).*", "orders"));
        assert!(!matches(r"^(?!amq\.).*", "amq.topic"));
        assert!(matches(r"^(?!amq\.|sys[).])(?!tmp)[a-z]+$", "orders"));
        assert!(!matches(r"^(?!amq\.|sys[).])(?!tmp)[a-z]+", "sys)x"));
        assert!(!matches(r"^(?!amq\.|sys[).])(?!tmp)[a-z]+", "tmpfile"));
        assert!(matches(r"^(?=or).*s$", "orders"));
    }

    #[test]
    fn refuses_what_it_cannot_do() {
        assert_eq!(
            Pattern::new("(a").unwrap_err().to_string(),
            "should be regular expression but is invalid: unclosed group"
        );
        assert!(matches!(Pattern::new(r"(a)\1"), Err(PatternError::Invalid(_))));
        assert!(matches!(Pattern::new(r"^(?!a)b|c"), Err(PatternError::Invalid(_))));
        assert!(matches!(Pattern::new(r"^(?!a"), Err(PatternError::Invalid(_))));
        assert!(matches!(Pattern::new("((a{99}){99}){99}"), Err(PatternError::Invalid(_))));
        assert_eq!(Pattern::new(&"a".repeat(1025)).unwrap_err().to_string(), "must not exceed 1024 bytes");
    }
}
