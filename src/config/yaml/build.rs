//! Builds the tree from the events of the YAML parser. It resolves aliases and merge keys, reports duplicate keys, and limits
//! everything that can grow.

use std::collections::HashMap;
use std::rc::Rc;

use serde_yaml::granit_parser::{Event, Parser, ScalarStyle, Tag, options};

use super::bytes::{binary_node, escaped_bytes, is_binary};
use super::mapping::Mapping;
use super::scan_error;
use super::tree::{Bytes, Entry, Mark, Node, Value};
use super::{MAX_ANCHORS, MAX_DEPTH, MAX_KEY_BYTES, MAX_VALUES};
use crate::config::place::{Path, Step, is_plain_key};

/// The maximum number of problems reported of one text. Parsing stops there.
const MAX_PROBLEMS: usize = 10_000;

/// An error in the YAML of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The position.
    pub mark: Mark,
    /// The path of the value, as far as it is known.
    pub path: Path,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// Parsing stopped. The problem was recorded.
pub(super) struct Stop;

/// A tree that is being built.
#[derive(Default)]
pub(super) struct Builder {
    frames: Vec<Frame>,
    anchors: HashMap<usize, Anchored>,
    pub problems: Vec<Problem>,
    pub root: Option<Node>,
    /// The number of values, with aliases expanded.
    pub values: usize,
    /// Whether `values` includes those of other texts.
    pub is_further: bool,
    documents: usize,
}

/// A node with its size and depth, aliases expanded.
#[derive(Clone)]
struct Anchored {
    node: Node,
    size: usize,
    depth: usize,
}

/// A list or mapping that is not complete yet.
struct Frame {
    mark: Mark,
    anchor: usize,
    size: usize,
    depth: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map(Mapping),
}

impl Builder {
    /// Builds the tree of a text. Problems that do not prevent that are recorded only.
    pub fn run(&mut self, text: &str) -> Result<(), Stop> {
        let options = options! {
            emit_comments: false,
            emit_unresolved_aliases: true,
            flow_nesting_limit: MAX_DEPTH,
            block_nesting_limit: MAX_DEPTH,
        };
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, span) = match event {
                Ok(event) => event,
                Err(error) => {
                    return Err(self.stop(scan_error::mark(&error, text), scan_error::message(&error)));
                }
            };
            let bytes = match &event {
                Event::Scalar(_, ScalarStyle::DoubleQuoted, ..) => span.slice(text).and_then(escaped_bytes),
                _ => None,
            };
            self.handle_event(event, Mark::from_marker(&span.start), bytes)?;
            if self.problems.len() >= MAX_PROBLEMS {
                return Err(Stop);
            }
        }
        Ok(())
    }

    /// Handles an event. `bytes` are those of a scalar, if they are not those of its text.
    fn handle_event(&mut self, event: Event<'_>, mark: Mark, bytes: Option<Rc<Bytes>>) -> Result<(), Stop> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    let message =
                        "a second document begins here: remove the ---, a file has only one document";
                    return Err(self.stop(mark, message));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let node = match tag.as_deref().is_some_and(is_binary) {
                    true => binary_node(mark, &text).unwrap_or_else(|wrong| {
                        self.problem(mark, wrong);
                        Node::new(mark, Value::Pruned)
                    }),
                    false => {
                        let is_text = self.check_tag(mark, tag.as_deref());
                        let value = match style {
                            ScalarStyle::Plain if !is_text => Value::Plain(text.into()),
                            _ => Value::Text(text.into()),
                        };
                        Node {
                            bytes,
                            ..Node::new(mark, value)
                        }
                    }
                };
                self.anchor(anchor, &node, 1, 0)?;
                self.add(node, 1, 0)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.check_tag(mark, tag.as_deref());
                self.open(mark, anchor, Content::List(Vec::new()))?;
            }
            Event::MappingStart(_, anchor, tag) => {
                self.check_tag(mark, tag.as_deref());
                self.open(mark, anchor, Content::Map(Mapping::default()))?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close()?,
            Event::Alias(id) => self.alias(id, mark)?,
            Event::UnresolvedAlias(_) => {
                self.problem(
                    mark,
                    "this alias has no anchor: define the anchor with & before you use it with *",
                );
                self.add(Node::new(mark, Value::Pruned), 1, 0)?;
            }
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd | Event::Anchor(..) => {}
            // The event type is non-exhaustive. New events carry no values.
            _ => {}
        }
        Ok(())
    }

    /// Reports a tag that is not in the core schema. Returns whether the tag makes a scalar a text.
    fn check_tag(&mut self, mark: Mark, tag: Option<&Tag>) -> bool {
        let Some(tag) = tag else { return false };
        match tag.core_suffix() {
            Some(suffix) => suffix == "str",
            None if tag.handle() == "!" && tag.suffix().is_empty() => true,
            None => {
                self.problem(mark, "tags (!name) are not supported: remove the tag");
                false
            }
        }
    }

    fn open(&mut self, mark: Mark, anchor: usize, content: Content) -> Result<(), Stop> {
        if self.frames.len() >= MAX_DEPTH {
            return Err(self.stop(mark, scan_error::too_deep()));
        }
        self.count(1, mark)?;
        self.frames.push(Frame {
            mark,
            anchor,
            size: 1,
            depth: 1,
            content,
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Stop> {
        let Some(frame) = self.frames.pop() else {
            return Ok(());
        };
        let Frame {
            mark,
            anchor,
            size,
            depth,
            content,
        } = frame;
        let value = match content {
            Content::List(items) => Value::List(Rc::new(items)),
            Content::Map(map) => {
                let mut invalid = Vec::new();
                let entries = map.merge(|mark| invalid.push(mark));
                for mark in invalid {
                    self.problem(mark, "<< can only merge a mapping or a list of mappings");
                }
                Value::Map(Rc::new(entries))
            }
        };
        let node = Node::new(mark, value);
        self.anchor(anchor, &node, size, depth)?;
        self.add_counted(node, size, depth)
    }

    /// Stores a complete node for aliases if it has an anchor (an id other than 0).
    fn anchor(&mut self, id: usize, node: &Node, size: usize, depth: usize) -> Result<(), Stop> {
        if id == 0 {
            return Ok(());
        }
        if self.anchors.len() >= MAX_ANCHORS {
            let message = format!("the file has more than {MAX_ANCHORS} anchors (&name): use fewer");
            return Err(self.stop(node.mark, message));
        }
        let node = node.clone();
        self.anchors.insert(id, Anchored { node, size, depth });
        Ok(())
    }

    fn alias(&mut self, id: usize, mark: Mark) -> Result<(), Stop> {
        match self.anchors.get(&id).cloned() {
            Some(target) => self.add(target.node, target.size, target.depth),
            None => {
                self.problem(
                    mark,
                    "this alias is inside its own anchor, so it would never end: remove it",
                );
                self.add(Node::new(mark, Value::Pruned), 1, 0)
            }
        }
    }

    /// Adds a complete value to the current frame, and counts it.
    fn add(&mut self, node: Node, size: usize, depth: usize) -> Result<(), Stop> {
        self.count(size, node.mark)?;
        self.add_counted(node, size, depth)
    }

    fn count(&mut self, size: usize, mark: Mark) -> Result<(), Stop> {
        self.values = self.values.saturating_add(size);
        if self.values > MAX_VALUES {
            let message = match self.is_further {
                false => {
                    format!("the file has more than {MAX_VALUES} values with aliases expanded: split it")
                }
                true => {
                    format!("the files have more than {MAX_VALUES} values with aliases expanded: write fewer")
                }
            };
            return Err(self.stop(mark, message));
        }
        Ok(())
    }

    fn add_counted(&mut self, node: Node, size: usize, depth: usize) -> Result<(), Stop> {
        if self.frames.len() + depth > MAX_DEPTH {
            return Err(self.stop(node.mark, scan_error::too_deep()));
        }
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.size = frame.size.saturating_add(size);
        frame.depth = frame.depth.max(depth + 1);
        match &mut frame.content {
            Content::List(items) => items.push(node),
            Content::Map(map) => match map.key.take() {
                None => {
                    let (key, mark) = self.key(node);
                    if let Some(Content::Map(map)) = self.frames.last_mut().map(|frame| &mut frame.content) {
                        map.key = Some((key, mark));
                    }
                }
                Some((key, _)) if &*key == "<<" => map.merges.push(node),
                // A stand-in for an invalid key, which was reported.
                Some((key, _)) if key.len() > MAX_KEY_BYTES => {}
                Some((key, mark)) => match map.find(&key) {
                    None => map.push(Entry {
                        key,
                        mark,
                        value: node,
                    }),
                    Some(first) => {
                        let line = first.mark.line;
                        self.duplicate(&key, mark, line);
                    }
                },
            },
        }
        Ok(())
    }

    /// Converts a node to a key. Reports a node that can't be one, and returns a stand-in.
    fn key(&mut self, node: Node) -> (Rc<str>, Mark) {
        let text = match node.value {
            Value::Plain(text) | Value::Text(text) if text.len() <= MAX_KEY_BYTES => {
                return (text, node.mark);
            }
            Value::Plain(_) | Value::Text(_) => "the key is longer than 1024 bytes: use a short word",
            _ => "expected a key, found a list or a mapping: a key is a word",
        };
        self.problem(node.mark, text);
        // Longer than a key may be, so that its value is ignored.
        ("?".repeat(MAX_KEY_BYTES + 1).into(), node.mark)
    }

    fn duplicate(&mut self, key: &str, mark: Mark, line: u32) {
        let message = if is_plain_key(key) {
            format!("duplicate key {key}, first given in line {line}: remove one of the two")
        } else {
            format!("duplicate key, first given in line {line}: remove one of the two")
        };
        self.problem(mark, message);
    }

    fn path(&self) -> Path {
        let steps = self.frames.iter().map_while(|frame| match &frame.content {
            Content::List(items) => Some(Step::Index(items.len())),
            Content::Map(map) => match &map.key {
                Some((key, _)) if is_plain_key(key) => Some(Step::Key(key.clone())),
                _ => None,
            },
        });
        Path(steps.collect())
    }

    fn problem(&mut self, mark: Mark, message: impl Into<String>) {
        let path = self.path();
        self.problems.push(Problem {
            mark,
            path,
            message: message.into(),
        });
    }

    fn stop(&mut self, mark: Mark, message: impl Into<String>) -> Stop {
        self.problems.push(Problem {
            mark,
            path: Path::default(),
            message: message.into(),
        });
        Stop
    }
}
