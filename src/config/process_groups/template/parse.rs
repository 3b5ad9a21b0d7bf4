//! Parses the tokens of a template.

use super::function::Function;
use super::token::{Part, Token, split};
use super::value::VARIABLES;

/// How deep blocks and parentheses may be nested.
const MAX_DEPTH: usize = 16;

/// A part of a template.
#[derive(Clone, Debug)]
pub enum Node {
    /// A literal text.
    Text(String),
    /// A value to show.
    Show(Pipeline),
    /// A block with two branches.
    Block {
        kind: Block,
        pipeline: Pipeline,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
}

/// A kind of block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    If,
    With,
    Range,
}

/// Commands, each of which gets the result of the one before as its last argument.
#[derive(Clone, Debug)]
pub struct Pipeline(pub Vec<Command>);

/// A value, or a function with its arguments.
#[derive(Clone, Debug)]
pub enum Command {
    Value(Operand),
    Call(Function, Vec<Operand>),
}

/// An operand.
#[derive(Clone, Debug)]
pub enum Operand {
    /// `.`
    Dot,
    /// `$`
    Root,
    Text(String),
    Number(i64),
    Bool(bool),
    /// A function without arguments.
    Nested(Box<Pipeline>),
    /// Fields of an operand.
    Fields(Box<Operand>, Vec<String>),
}

/// Parses a template.
pub fn parse(source: &str) -> Result<Vec<Node>, String> {
    let mut parser = Parser {
        parts: split(source)?.into_iter(),
        depth: 0,
        is_root: vec![true],
    };
    let (nodes, end) = parser.nodes()?;
    match end {
        None => Ok(nodes),
        Some(end) => Err(format!("{} without a block", end.word())),
    }
}

/// What ends the nodes of a block.
enum End {
    /// `end`
    End,
    /// `else`, with the rest of its action.
    Else(Vec<Token>),
}

impl End {
    const fn word(&self) -> &'static str {
        match self {
            Self::End => "end",
            Self::Else(_) => "else",
        }
    }
}

struct Parser<'s> {
    parts: std::vec::IntoIter<Part<'s>>,
    depth: usize,
    /// For each open block, whether `.` is the process in it.
    is_root: Vec<bool>,
}

impl Parser<'_> {
    /// Parses nodes up to the end of a block, or of the template.
    fn nodes(&mut self) -> Result<(Vec<Node>, Option<End>), String> {
        let mut nodes = Vec::new();
        while let Some(part) = self.parts.next() {
            let tokens = match part {
                Part::Text(text) => {
                    nodes.push(Node::Text(text.to_owned()));
                    continue;
                }
                Part::Action(tokens) => tokens,
            };
            match tokens.first() {
                Some(Token::Word(word)) if word == "end" && tokens.len() == 1 => {
                    return Ok((nodes, Some(End::End)));
                }
                Some(Token::Word(word)) if word == "else" => {
                    return Ok((nodes, Some(End::Else(tokens[1..].to_vec()))));
                }
                first => match first.and_then(block) {
                    Some(kind) => nodes.push(self.block(kind, &tokens[1..])?),
                    None => nodes.push(Node::Show(self.whole_pipeline(&tokens)?)),
                },
            }
        }
        Ok((nodes, None))
    }

    fn block(&mut self, kind: Block, tokens: &[Token]) -> Result<Node, String> {
        self.descend()?;
        let pipeline = self.whole_pipeline(tokens)?;
        let is_root = self.is_root.last().is_some_and(|is_root| *is_root);
        self.is_root.push(is_root && kind == Block::If);
        let (then, end) = self.nodes()?;
        self.is_root.pop();
        let mut otherwise = Vec::new();
        match end.ok_or("a block is not closed: write {{end}}")? {
            End::End => {}
            End::Else(rest) => match rest.as_slice() {
                [] => {
                    let (nodes, end) = self.nodes()?;
                    if !matches!(end, Some(End::End)) {
                        return Err("a block is not closed: write {{end}}".to_owned());
                    }
                    otherwise = nodes;
                }
                [Token::Word(word), rest @ ..] if word == "if" && kind == Block::If => {
                    otherwise = vec![self.block(Block::If, rest)?];
                }
                _ => return Err("else must be alone or followed by if".to_owned()),
            },
        }
        self.depth -= 1;
        Ok(Node::Block {
            kind,
            pipeline,
            then,
            otherwise,
        })
    }

    fn descend(&mut self) -> Result<(), String> {
        self.depth += 1;
        match self.depth > MAX_DEPTH {
            true => Err(format!("nested deeper than {MAX_DEPTH} levels")),
            false => Ok(()),
        }
    }

    /// Parses a pipeline that takes all tokens.
    fn whole_pipeline(&mut self, tokens: &[Token]) -> Result<Pipeline, String> {
        let (pipeline, rest) = self.pipeline(tokens)?;
        match rest {
            [] => Ok(pipeline),
            _ => Err("unopened parenthesis".to_owned()),
        }
    }

    /// Parses a pipeline up to a closing parenthesis.
    fn pipeline<'t>(&mut self, tokens: &'t [Token]) -> Result<(Pipeline, &'t [Token]), String> {
        let mut commands = Vec::new();
        let mut rest = tokens;
        loop {
            let command;
            (command, rest) = self.command(rest)?;
            if !commands.is_empty() && matches!(command, Command::Value(_)) {
                return Err("only a function can follow |".to_owned());
            }
            commands.push(command);
            match rest {
                [Token::Pipe, after @ ..] => rest = after,
                _ => return Ok((Pipeline(commands), rest)),
            }
        }
    }

    fn command<'t>(&mut self, tokens: &'t [Token]) -> Result<(Command, &'t [Token]), String> {
        let function = match tokens.first() {
            Some(Token::Word(word)) => Function::find(word),
            _ => None,
        };
        let mut rest = if function.is_some() { &tokens[1..] } else { tokens };
        let mut operands = Vec::new();
        while !matches!(rest, [] | [Token::Pipe | Token::Close, ..]) {
            let operand;
            (operand, rest) = self.operand(rest)?;
            operands.push(operand);
        }
        match (function, operands.len()) {
            (Some(function), _) => Ok((Command::Call(function, operands), rest)),
            (None, 1) => Ok((Command::Value(operands.remove(0)), rest)),
            (None, 0) => Err("an action is empty: write a variable, such as {{.Comm}}".to_owned()),
            (None, _) => Err("only functions have arguments".to_owned()),
        }
    }

    fn operand<'t>(&mut self, tokens: &'t [Token]) -> Result<(Operand, &'t [Token]), String> {
        let (token, mut rest) = tokens.split_first().ok_or("an operand is missing")?;
        let is_root = self.is_root.last().is_some_and(|is_root| *is_root);
        let mut operand = match token {
            Token::Dot if is_root => {
                return Err("{{.}} is not supported: write a variable, such as {{.Comm}}".to_owned());
            }
            Token::Dot => Operand::Dot,
            Token::Root => Operand::Root,
            Token::Fields { names, .. } => {
                if is_root {
                    known_variable(names)?;
                }
                Operand::Fields(Box::new(Operand::Dot), names.clone())
            }
            Token::Text(text) => Operand::Text(text.clone()),
            Token::Number(number) => Operand::Number(*number),
            Token::Word(word) if word == "true" || word == "false" => Operand::Bool(word == "true"),
            Token::Word(word) => match Function::find(word) {
                Some(function) => {
                    Operand::Nested(Box::new(Pipeline(vec![Command::Call(function, Vec::new())])))
                }
                None => return Err(format!("the function {word} is not supported")),
            },
            Token::Open => {
                self.descend()?;
                let (pipeline, after) = self.pipeline(rest)?;
                self.depth -= 1;
                let [Token::Close, after @ ..] = after else {
                    return Err("unclosed parenthesis".to_owned());
                };
                rest = after;
                Operand::Nested(Box::new(pipeline))
            }
            Token::Pipe | Token::Close => return Err("an operand is missing".to_owned()),
        };
        if let [
            Token::Fields {
                names,
                is_attached: true,
            },
            after @ ..,
        ] = rest
        {
            match operand {
                Operand::Root => known_variable(names)?,
                Operand::Nested(_) => {}
                _ => return Err(format!("a space is missing before .{}", names.join("."))),
            }
            operand = Operand::Fields(Box::new(operand), names.clone());
            rest = after;
        } else if matches!(operand, Operand::Root) {
            return Err("$ is not supported alone: write a variable, such as {{$.Comm}}".to_owned());
        }
        Ok((operand, rest))
    }
}

/// The kind of block that an action begins.
fn block(first: &Token) -> Option<Block> {
    let Token::Word(word) = first else { return None };
    match word.as_str() {
        "if" => Some(Block::If),
        "with" => Some(Block::With),
        "range" => Some(Block::Range),
        _ => None,
    }
}

/// Reports a variable that does not exist, or fields that it can't have.
fn known_variable(names: &[String]) -> Result<(), String> {
    let name = names.first().map_or("", String::as_str);
    if !VARIABLES.contains(&name) {
        return Err(format!(
            "unknown variable .{name}: the variables are .{}",
            VARIABLES.join(", .")
        ));
    }
    match (name, &names[1..]) {
        (_, []) | ("Matches", [_]) => Ok(()),
        ("StartTime", [method]) if method == "Unix" => Ok(()),
        (_, [field, ..]) => Err(format!("the field or method {field} of .{name} is not supported")),
    }
}
