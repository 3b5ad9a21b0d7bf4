//! The functions of templates.

use std::cmp::Ordering;

use super::format;
use super::value::Value;

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    And,
    Or,
    Not,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Index,
    Len,
    Slice,
    Print,
    Println,
    Printf,
}

impl Function {
    /// The function with this name.
    pub fn find(name: &str) -> Option<Self> {
        Some(match name {
            "and" => Self::And,
            "or" => Self::Or,
            "not" => Self::Not,
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "lt" => Self::Lt,
            "le" => Self::Le,
            "gt" => Self::Gt,
            "ge" => Self::Ge,
            "index" => Self::Index,
            "len" => Self::Len,
            "slice" => Self::Slice,
            "print" => Self::Print,
            "println" => Self::Println,
            "printf" => Self::Printf,
            _ => return None,
        })
    }
}

impl Function {
    /// Calls the function. `None` if it does not accept these arguments. `And` and `Or` are evaluated by the caller, because
    /// they skip arguments.
    pub fn call<'a>(self, arguments: &[Value<'a>]) -> Option<Value<'a>> {
        Some(match (self, arguments) {
            (Self::Not, [value]) => Value::Bool(!value.is_true()),
            (Self::Eq, [value, others @ ..]) if !others.is_empty() => {
                let mut is_equal = false;
                for other in others {
                    is_equal |= compare(value, other)? == Ordering::Equal;
                }
                Value::Bool(is_equal)
            }
            (Self::Ne, [a, b]) => Value::Bool(compare(a, b)? != Ordering::Equal),
            (Self::Lt, [a, b]) => Value::Bool(order(a, b)? == Ordering::Less),
            (Self::Le, [a, b]) => Value::Bool(order(a, b)? != Ordering::Greater),
            (Self::Gt, [a, b]) => Value::Bool(order(a, b)? == Ordering::Greater),
            (Self::Ge, [a, b]) => Value::Bool(order(a, b)? != Ordering::Less),
            (Self::Index, [value, keys @ ..]) => {
                let mut value = value.clone();
                for key in keys {
                    value = index(&value, key)?;
                }
                value
            }
            (Self::Len, [Value::Text(text)]) => length(text.len()),
            (Self::Len, [Value::List(items)]) => length(items.len()),
            (Self::Len, [Value::Map(entries)]) => length(entries.len()),
            (Self::Slice, [Value::Text(text), bounds @ ..]) => slice(text, bounds)?,
            (Self::Print, values) => Value::text(format::print(values)),
            (Self::Println, values) => Value::text(format::print_line(values)),
            (Self::Printf, [Value::Text(format), values @ ..]) => {
                Value::text(format::printf(format, values)?)
            }
            _ => return None,
        })
    }
}

/// The element of a list or a text, or the entry of a mapping; empty if the mapping does not have it.
fn index<'a>(value: &Value<'a>, key: &Value<'_>) -> Option<Value<'a>> {
    Some(match (value, key) {
        (Value::List(items), Value::Number(at)) => Value::text(items.get(usize::try_from(*at).ok()?)?),
        (Value::Map(entries), Value::Text(name)) => {
            Value::text(entries.get(&**name).map_or("", String::as_str))
        }
        (Value::Text(text), Value::Number(at)) => {
            Value::Number(i64::from(*text.as_bytes().get(usize::try_from(*at).ok()?)?))
        }
        _ => return None,
    })
}

/// The bytes from the first bound up to the second one. A cut letter becomes a replacement character.
fn slice<'a>(text: &str, bounds: &[Value<'_>]) -> Option<Value<'a>> {
    let bound = |value: Option<&Value<'_>>, default| match value {
        None => Some(default),
        Some(Value::Number(number)) => usize::try_from(*number).ok(),
        Some(_) => None,
    };
    let (start, end) = (bound(bounds.first(), 0)?, bound(bounds.get(1), text.len())?);
    let bytes = text.as_bytes().get(start..end).filter(|_| bounds.len() <= 2)?;
    Some(Value::text(String::from_utf8_lossy(bytes).into_owned()))
}

fn length<'a>(length: usize) -> Value<'a> {
    Value::Number(i64::try_from(length).unwrap_or(i64::MAX))
}

/// Compares two values of the same type.
fn compare(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => order(a, b),
    }
}

/// Compares two texts or two numbers.
fn order(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Number(a), Value::Number(b)) => Some(a.cmp(b)),
        _ => None,
    }
}
