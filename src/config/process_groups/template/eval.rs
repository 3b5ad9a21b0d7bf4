//! Evaluates a template for one process.

use super::attributes::Attributes;
use super::format::display;
use super::function::Function;
use super::parse::{Block, Command, Node, Operand, Pipeline};
use super::value::Value;

/// How many nodes of a template are evaluated for one name. Only nested ranges reach this.
const MAX_STEPS: usize = 10_000;

/// The evaluation can't continue. The name ends here.
struct Stop;

struct Evaluation<'a> {
    root: Value<'a>,
    name: String,
    steps: usize,
}

/// Renders a name.
pub fn render(nodes: &[Node], attributes: &Attributes) -> String {
    let root = Value::Process(attributes);
    let mut evaluation = Evaluation {
        root: root.clone(),
        name: String::new(),
        steps: 0,
    };
    // As in process-exporter, what was rendered before an error is the name.
    let _ = evaluation.run(nodes, &root);
    evaluation.name
}

impl<'a> Evaluation<'a> {
    fn run(&mut self, nodes: &'a [Node], dot: &Value<'a>) -> Result<(), Stop> {
        for node in nodes {
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return Err(Stop);
            }
            match node {
                Node::Text(text) => self.name.push_str(text),
                Node::Show(pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    self.name.push_str(&display(&value));
                }
                Node::Block {
                    kind,
                    pipeline,
                    then,
                    otherwise,
                } => {
                    let value = self.pipeline(pipeline, dot)?;
                    match kind {
                        _ if !value.is_true() => self.run(otherwise, dot)?,
                        Block::If => self.run(then, dot)?,
                        Block::With => self.run(then, &value)?,
                        Block::Range => self.range(then, &value)?,
                    }
                }
            }
        }
        Ok(())
    }

    fn range(&mut self, nodes: &'a [Node], value: &Value<'a>) -> Result<(), Stop> {
        match value {
            Value::List(items) => items
                .iter()
                .try_for_each(|item| self.run(nodes, &Value::text(item))),
            Value::Map(entries) => entries
                .values()
                .try_for_each(|text| self.run(nodes, &Value::text(text))),
            _ => Err(Stop),
        }
    }

    fn pipeline(&self, pipeline: &'a Pipeline, dot: &Value<'a>) -> Result<Value<'a>, Stop> {
        let mut result = None;
        for command in &pipeline.0 {
            result = Some(match command {
                Command::Value(operand) => self.operand(operand, dot)?,
                Command::Call(function, operands) => self.call(*function, operands, result, dot)?,
            });
        }
        result.ok_or(Stop)
    }

    fn call(
        &self,
        function: Function,
        operands: &'a [Operand],
        last: Option<Value<'a>>,
        dot: &Value<'a>,
    ) -> Result<Value<'a>, Stop> {
        if let Function::And | Function::Or = function {
            let mut result = Err(Stop);
            for operand in operands {
                let value = self.operand(operand, dot)?;
                if value.is_true() == (function == Function::Or) {
                    return Ok(value);
                }
                result = Ok(value);
            }
            return last.map_or(result, Ok);
        }
        let mut arguments = Vec::with_capacity(operands.len() + 1);
        for operand in operands {
            arguments.push(self.operand(operand, dot)?);
        }
        arguments.extend(last);
        function.call(&arguments).ok_or(Stop)
    }

    fn operand(&self, operand: &'a Operand, dot: &Value<'a>) -> Result<Value<'a>, Stop> {
        Ok(match operand {
            Operand::Dot => dot.clone(),
            Operand::Root => self.root.clone(),
            Operand::Text(text) => Value::text(text),
            Operand::Number(number) => Value::Number(*number),
            Operand::Bool(value) => Value::Bool(*value),
            Operand::Nested(pipeline) => self.pipeline(pipeline, dot)?,
            Operand::Fields(operand, names) => {
                let mut value = self.operand(operand, dot)?;
                for name in names {
                    value = value.field(name).ok_or(Stop)?;
                }
                value
            }
        })
    }
}
