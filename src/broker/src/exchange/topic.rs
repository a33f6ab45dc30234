//! Topic exchange: patterns over the words of the routing key, `*` for one word and `#` for any number of them.
//!
//! The patterns form a trie by word. A route walks it with the set of nodes that the words so far can lead to. A node is
//! in the set once: a plain node has one parent, and a `#` node stays from the first time it is reached, so it is kept
//! in a list of its own. Hence the cost is words × reachable nodes, whatever the patterns; recursion over `#` would be
//! exponential, which is why RabbitMQ refuses more than two of them in a pattern. Leveret need not.
//!
//! Not taken: a compiled automaton (a bind would recompile it), and a cache here (the publisher's is by exchange and key
//! and serves all types).

use std::{collections::HashMap, sync::Arc};

use super::{
    Binding, Destination, RouteInput, Router,
    counted::{CountedSet, Removed},
    interner::Interner,
    scratch::{self, Scratch},
};

/// No such node.
const NONE: u32 = u32::MAX;
const ROOT: u32 = 0;
const ANY_WORD: &[u8] = b"*";
const ANY_WORDS: &[u8] = b"#";

/// Router of a topic exchange.
#[derive(Debug)]
pub struct Topic {
    nodes: Vec<Node>,
    free: Vec<u32>,
    /// Edges by literal word: (node, word) → node.
    literals: HashMap<(u32, u32), u32, ahash::RandomState>,
    words: Interner<Arc<[u8]>>,
    destinations: Interner<Destination>,
}

#[derive(Debug)]
struct Node {
    parent: u32,
    edge: Edge,
    any_word: u32,
    any_words: u32,
    literals: u32,
    destinations: CountedSet<u32>,
}

/// What leads to a node.
#[derive(Clone, Copy, Debug)]
enum Edge {
    Root,
    Literal(u32),
    AnyWord,
    AnyWords,
}

impl Node {
    fn new(parent: u32, edge: Edge) -> Self {
        Self { parent, edge, any_word: NONE, any_words: NONE, literals: 0, destinations: CountedSet::default() }
    }

    fn is_unused(&self) -> bool {
        self.literals == 0 && self.any_word == NONE && self.any_words == NONE && self.destinations.is_empty()
    }
}

impl Default for Topic {
    fn default() -> Self {
        Self {
            nodes: vec![Node::new(NONE, Edge::Root)],
            free: Vec::new(),
            literals: HashMap::default(),
            words: Interner::default(),
            destinations: Interner::default(),
        }
    }
}

impl Router for Topic {
    fn bind(&mut self, binding: &Binding) {
        let (destination, _) = self.destinations.acquire(&binding.destination, Destination::clone);
        let mut node = ROOT;
        for word in pattern_words(&binding.routing_key) {
            node = self.descend(node, word);
        }
        self.nodes[node as usize].destinations.add(&destination);
    }

    fn unbind(&mut self, binding: &Binding) {
        let Some(destination) = self.destinations.find(&binding.destination) else { return };
        let Some(node) = self.find(&binding.routing_key) else { return };
        if self.nodes[node as usize].destinations.remove(&destination) == Removed::Nothing {
            return;
        }
        self.destinations.release(destination);
        self.prune(node);
    }

    fn route(&self, input: &RouteInput<'_>, out: &mut Vec<Destination>) {
        scratch::with(|scratch| {
            self.start(scratch);
            for word in words(input.routing_key) {
                if scratch.active.is_empty() && scratch.open.is_empty() {
                    return;
                }
                self.step(word, scratch);
            }
            self.collect(scratch, out);
        });
    }
}

impl Topic {
    fn start(&self, scratch: &mut Scratch) {
        scratch.destinations.begin(self.destinations.bound());
        scratch.first.begin(self.nodes.len());
        scratch.active.clear();
        scratch.open.clear();
        scratch.next.clear();
        self.enter(ROOT, scratch);
        std::mem::swap(&mut scratch.active, &mut scratch.next);
    }

    /// Follows one word from every node reached so far.
    fn step(&self, word: &[u8], scratch: &mut Scratch) {
        let word = self.words.find(word);
        // A `#` node opened by this word swallows it: only the next word may lead on from there.
        let open = scratch.open.len();
        scratch.next.clear();
        for place in 0..scratch.active.len() {
            self.advance(scratch.active[place], word, scratch);
        }
        for place in 0..open {
            self.advance(scratch.open[place], word, scratch);
        }
        std::mem::swap(&mut scratch.active, &mut scratch.next);
    }

    #[inline]
    fn advance(&self, node: u32, word: Option<u32>, scratch: &mut Scratch) {
        let Node { any_word, literals, .. } = self.nodes[node as usize];
        if literals > 0
            && let Some(word) = word
            && let Some(&child) = self.literals.get(&(node, word))
        {
            self.enter(child, scratch);
        }
        if any_word != NONE {
            self.enter(any_word, scratch);
        }
    }

    #[inline]
    fn enter(&self, node: u32, scratch: &mut Scratch) {
        scratch.next.push(node);
        let any_words = self.nodes[node as usize].any_words;
        if any_words != NONE && scratch.first.mark(any_words) {
            scratch.open.push(any_words);
        }
    }

    fn collect(&self, scratch: &mut Scratch, out: &mut Vec<Destination>) {
        for &node in scratch.active.iter().chain(&scratch.open) {
            for &(destination, _) in self.nodes[node as usize].destinations.entries() {
                if scratch.destinations.mark(destination) {
                    out.extend(self.destinations.value(destination).cloned());
                }
            }
        }
    }

    /// The child for one word of a pattern, made where it is missing.
    fn descend(&mut self, node: u32, word: &[u8]) -> u32 {
        if let Some(child) = self.child(node, word) {
            return child;
        }
        let edge = match word {
            ANY_WORD => Edge::AnyWord,
            ANY_WORDS => Edge::AnyWords,
            _ => Edge::Literal(self.words.acquire(word, Arc::from).0),
        };
        let child = self.add_node(Node::new(node, edge));
        let parent = &mut self.nodes[node as usize];
        match edge {
            Edge::Root => {}
            Edge::AnyWord => parent.any_word = child,
            Edge::AnyWords => parent.any_words = child,
            Edge::Literal(word) => {
                parent.literals += 1;
                self.literals.insert((node, word), child);
            }
        }
        child
    }

    fn child(&self, node: u32, word: &[u8]) -> Option<u32> {
        let parent = &self.nodes[node as usize];
        match word {
            ANY_WORD => Some(parent.any_word).filter(|&child| child != NONE),
            ANY_WORDS => Some(parent.any_words).filter(|&child| child != NONE),
            _ => self.literals.get(&(node, self.words.find(word)?)).copied(),
        }
    }

    fn find(&self, pattern: &[u8]) -> Option<u32> {
        pattern_words(pattern).try_fold(ROOT, |node, word| self.child(node, word))
    }

    fn add_node(&mut self, node: Node) -> u32 {
        if let Some(place) = self.free.pop() {
            self.nodes[place as usize] = node;
            return place;
        }
        self.nodes.push(node);
        u32::try_from(self.nodes.len() - 1).unwrap_or(NONE)
    }

    /// Removes a node that leads nowhere, and those above it that led to it only.
    fn prune(&mut self, mut node: u32) {
        while node != ROOT && self.nodes[node as usize].is_unused() {
            let Node { parent, edge, .. } = self.nodes[node as usize];
            let above = &mut self.nodes[parent as usize];
            match edge {
                Edge::Root => {}
                Edge::AnyWord => above.any_word = NONE,
                Edge::AnyWords => above.any_words = NONE,
                Edge::Literal(word) => {
                    above.literals -= 1;
                    self.literals.remove(&(parent, word));
                    self.words.release(word);
                }
            }
            self.free.push(node);
            node = parent;
        }
    }
}

/// The words of a key: what is between dots, possibly nothing. An empty key has no word.
fn words(key: &[u8]) -> impl Iterator<Item = &[u8]> {
    (!key.is_empty()).then(|| key.split(|&byte| byte == b'.')).into_iter().flatten()
}

/// The words of a pattern, with runs of `#` made one: they match the same keys.
fn pattern_words(pattern: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut previous: &[u8] = b"";
    words(pattern).filter(move |&word| {
        let repeated = word == ANY_WORDS && previous == ANY_WORDS;
        previous = word;
        !repeated
    })
}

#[cfg(test)]
#[path = "topic_tests.rs"]
mod tests;
