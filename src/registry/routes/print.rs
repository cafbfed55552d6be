//! The route table as people read it, and as machines do.

use std::fmt;

use serde_json::{Value, json};

use super::columns::in_columns;
use super::{CommandRoute, RouteHandler, RouteTable};
use crate::wire::schema::short_path;
use crate::wire::{Audience, CommandSpec, Field, TypeSchema};

const HEADINGS: [&str; 5] = ["COMMAND", "DELIVERY", "MANAGERS", "HANDLER", "SITE"];

/// One line for each handler, grouped by delivery and sorted by command; columns are aligned. Behind a line
/// stands what its command says of its deadline and of being run twice.
impl fmt::Display for RouteTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![HEADINGS.map(str::to_owned)];
        for route in &self.routes {
            rows.extend(route.handlers.iter().map(|handler| self.row(route, handler)));
        }
        f.write_str(&in_columns(&rows, |_| false))
    }
}

impl RouteTable {
    fn row(&self, route: &CommandRoute, handler: &RouteHandler) -> [String; 5] {
        let managers = if route.scope { "(coordinator)".to_owned() } else { self.listed(&handler.managers) };
        let owner = if route.scope { short_path(&handler.owner) } else { handler.owner.clone() };
        let method = format!("{owner}: {}", handler.method);
        let place = format!("{}{}", handler.site, note(&route.spec));
        [route.spec.name.clone(), route.delivery.to_string(), managers, method, place]
    }

    /// Managers by name; the instances of a pool by the pool's, with their number.
    fn listed(&self, managers: &[usize]) -> String {
        let mut listed: Vec<(String, usize)> = Vec::new();
        for bound in managers.iter().map(|index| &self.managers[*index]) {
            let name = bound.pool.as_ref().unwrap_or(&bound.name).as_str();
            match listed.iter_mut().find(|(known, _)| known == name) {
                Some((_, count)) => *count += 1,
                None => listed.push((name.to_owned(), usize::from(bound.pool.is_some()))),
            }
        }
        let word = |(name, instances)| match instances {
            0 => name,
            count => format!("{name} (pool of {count})"),
        };
        listed.into_iter().map(word).collect::<Vec<_>>().join(", ")
    }

    fn names(&self, managers: &[usize]) -> Vec<&str> {
        managers.iter().map(|index| self.managers[*index].name.as_str()).collect()
    }

    /// The table for machines: an object for each command, in the order of the printed table.
    pub fn to_json(&self) -> Value {
        self.routes.iter().map(|route| self.route_json(route)).collect()
    }

    fn route_json(&self, route: &CommandRoute) -> Value {
        let spec = &route.spec;
        json!({
            "command": spec.name,
            "path": spec.path,
            "id": spec.id.to_string(),
            "doc": spec.doc,
            "delivery": route.delivery.to_string(),
            "audience": audience(&spec.audience),
            "script": spec.script,
            "deadline_ms": spec.deadline_ms,
            "idempotent": spec.idempotent,
            "hazardous": spec.hazardous,
            "journaled": spec.journaled,
            "file": spec.site.file,
            "line": spec.site.line,
            "fields": fields(&spec.schema),
            "reply": spec.reply.root.describe(),
            "scope": route.scope,
            "managers": self.names(&route.managers),
            "handlers": route.handlers.iter().map(|handler| self.handler_json(handler)).collect::<Vec<_>>(),
        })
    }

    fn handler_json(&self, handler: &RouteHandler) -> Value {
        json!({
            "owner": handler.owner,
            "method": handler.method,
            "role": handler.role,
            "managers": self.names(&handler.managers),
            "file": handler.site.file,
            "line": handler.site.line,
        })
    }
}

/// What calls of the command may rely on; nothing for most.
fn note(spec: &CommandSpec) -> String {
    let deadline = spec.deadline_ms.map(|limit| format!("deadline {limit} ms"));
    let words =
        [("idempotent", spec.idempotent), ("hazardous", spec.hazardous), ("journaled", spec.journaled)];
    let said = words.into_iter().filter(|(_, is_so)| *is_so).map(|(word, _)| word.to_owned());
    let notes: Vec<_> = deadline.into_iter().chain(said).collect();
    if notes.is_empty() { String::new() } else { format!("  ({})", notes.join(", ")) }
}

fn audience(audience: &Audience) -> &str {
    match audience {
        Audience::Listeners => "listeners",
        Audience::All => "all",
        Audience::Group(group) => group,
    }
}

fn fields(schema: &TypeSchema) -> Value {
    let default =
        |field: &Field| field.default.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let one = |field: &Field| {
        json!({
            "name": field.name,
            "type": field.node.describe(),
            "doc": field.doc,
            "unit": field.unit,
            "min": field.min,
            "max": field.max,
            "optional": field.optional,
            "default": default(field),
        })
    };
    schema.fields().iter().map(one).collect()
}
