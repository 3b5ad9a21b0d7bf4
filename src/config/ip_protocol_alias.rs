//! Accepts `ipv4` and `ipv6` as values of `preferred_ip_protocol`, with a warning. Many files contain them.

use std::rc::Rc;

use serde_json::{Map, Value as Json, json};

use super::place::Place;
use super::yaml::{Entry, Node, Value};

const KEY: &str = "preferred_ip_protocol";
/// The aliases with the values that they stand for. blackbox_exporter treats both as ip4.
const ALIASES: [(&str, &str); 2] = [("ipv4", "ip4"), ("ipv6", "ip6")];

/// Replaces an alias in the options at `place`, and warns about it. Returns `None` if there is none.
pub fn replace(options: &Node, place: &Place<'_>) -> Option<Node> {
    let entries = options.entries()?;
    let index = entries.iter().position(|entry| &*entry.key == KEY)?;
    let (Value::Plain(word) | Value::Text(word)) = &entries[index].value.value else {
        return None;
    };
    let (_, usual) = ALIASES.iter().find(|(alias, _)| *alias == &**word)?;
    place
        .field(KEY)
        .warn(format_args!("treated as {usual}: write {usual}"));
    let mut entries: Vec<Entry> = entries.to_vec();
    let mark = entries[index].value.mark;
    entries[index].value = Node::new(mark, Value::Text((*usual).into()));
    Some(Node::new(options.mark, Value::Map(Rc::new(entries))))
}

/// Adds the aliases to the JSON Schema of options.
pub fn add_to_schema(properties: &mut Map<String, Json>) {
    let option = properties.get_mut(KEY).and_then(|option| option.get_mut("anyOf"));
    if let Some(Json::Array(forms)) = option {
        forms.push(json!({ "enum": ALIASES.map(|(alias, _)| alias) }));
    }
}
