//! The settings of a manager, at the manager that owns them: what is in force, which version, and what may replace it.
//!
//! A change is checked against types and bounds, then given to the manager's own method, which may refuse it; only
//! then does it count. What is in force is in the run's folder as well, for the manager's next life.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::context::Context;
use super::description::SettingsDescription;
use super::handler::SetupError;
use super::publisher::Publisher;
use super::registration::Instance;
use crate::config::{Fault, arguments, check};
use crate::remote::{ChangeSettings, SettingsRefusal, SettingsSignals, SettingsTold};
use crate::wire::{Failure, Node, Shape, TypeSchema};

/// See the module's words.
pub(crate) struct SettingsKeeper {
    schema: TypeSchema,
    values: Value,
    version: u64,
    file: PathBuf,
    signals: Publisher<SettingsSignals>,
}

impl SettingsKeeper {
    /// Gives a manager that has just been set up the settings that are in force: those of its earlier life, else the
    /// defaults. Nothing for one that has none.
    pub(crate) fn begin(
        instance: &mut dyn Instance,
        context: &mut Context,
    ) -> Result<Option<Self>, SetupError> {
        let Some(SettingsDescription { schema, defaults, .. }) = instance.settings() else { return Ok(None) };
        let file = context.run_dir().join("settings").join(format!("{}.json", context.manager()));
        let kept = if context.generation() > 1 { kept(&file)? } else { None };
        let (version, values) = match kept {
            Some(kept) => kept,
            None => (0, serde_json::from_str(&defaults)?),
        };
        let misfits = misfits(&values, &schema, context.manager());
        if !misfits.is_empty() {
            let (path, faults) = (file.display(), misfits.join("\n"));
            return Err(SetupError::new(format!("the settings kept in `{path}` do not fit: {faults}")));
        }
        apply(instance, &values, context).map_err(SetupError::of)?;
        let signals = context.signals(SettingsSignals { settings_version: version })?;
        Ok(Some(Self { schema, values, version, file, signals }))
    }

    /// What is in force.
    pub(crate) fn told(&self) -> SettingsTold {
        let Self { schema, values, version, .. } = self;
        SettingsTold { version: *version, values: values.to_string(), schema: schema.clone() }
    }

    /// Changes them, if everything fits and the manager agrees.
    pub(crate) fn change(
        &mut self,
        asked: &ChangeSettings,
        instance: &mut dyn Instance,
        context: &mut Context,
    ) -> Result<SettingsTold, Failure> {
        let refused = |refusal: SettingsRefusal| Failure::typed(&refusal, refusal.to_string());
        let values = self.changed(asked, context.manager()).map_err(refused)?;
        if values == self.values || asked.is_trial {
            return Ok(self.told());
        }
        let version = self.version + 1;
        let draft = draft(&self.file, version, &values);
        let draft = draft.map_err(|error| refused(SettingsRefusal::NotKept { reason: error.to_string() }))?;
        apply(instance, &values, context)?;
        if let Err(error) = fs::rename(draft, &self.file) {
            log::error!("the settings are in force, and the next life will not know of them: {error}");
        }
        (self.values, self.version) = (values, version);
        self.signals.publish(SettingsSignals { settings_version: version });
        Ok(self.told())
    }

    /// All settings as they would be.
    fn changed(&self, asked: &ChangeSettings, manager: &str) -> Result<Value, SettingsRefusal> {
        if let Some(expected) = asked.if_version.filter(|expected| *expected != self.version) {
            return Err(SettingsRefusal::Outdated { expected, version: self.version });
        }
        let malformed = |reason: String| SettingsRefusal::Malformed { reason };
        let change: Map<String, Value> =
            serde_json::from_str(&asked.values).map_err(|error| malformed(error.to_string()))?;
        let mut values = self.values.clone();
        merge(&mut values, Value::Object(change), &self.schema.root, &self.schema);
        match misfits(&values, &self.schema, manager) {
            faults if faults.is_empty() => Ok(values),
            faults => Err(SettingsRefusal::Unfit { faults }),
        }
    }
}

fn apply(instance: &mut dyn Instance, values: &Value, context: &mut Context) -> Result<(), Failure> {
    instance.apply_settings(values.to_string().as_bytes(), context)
}

/// Takes structs field by field, and everything else whole.
fn merge(values: &mut Value, change: Value, node: &Node, schema: &TypeSchema) {
    let shape = schema.definition(node).map(|definition| &definition.shape);
    match (shape, values, change) {
        (Some(Shape::Struct(fields)), Value::Object(values), Value::Object(change)) => {
            for (key, change) in change {
                let node = fields.iter().find(|field| field.name == key).map_or(&Node::Any, |it| &it.node);
                merge(values.entry(key).or_insert(Value::Null), change, node, schema);
            }
        }
        (_, values, change) => *values = change,
    }
}

/// What does not fit, each with what would.
fn misfits(values: &Value, schema: &TypeSchema, manager: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let tree = arguments::from_json(values, Path::new("."), &mut faults);
    faults.extend(check(&tree, schema, manager).faults);
    faults.into_iter().map(words).collect()
}

fn words(fault: Fault) -> String {
    match fault.hint {
        Some(hint) => format!("{}; {hint}", fault.message),
        None => fault.message,
    }
}

/// What an earlier life has left, if it has changed anything.
fn kept(file: &Path) -> Result<Option<(u64, Value)>, SetupError> {
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(SetupError::new(format!("the settings in `{}`: {error}", file.display()))),
    };
    let unreadable = || SetupError::new(format!("the settings kept in `{}` cannot be read", file.display()));
    let kept: Value = serde_json::from_slice(&text).map_err(|_| unreadable())?;
    let version = kept["version"].as_u64().ok_or_else(unreadable)?;
    Ok(Some((version, kept["values"].clone())))
}

/// Writes what is to be kept beside its place, so that it can be moved there as a whole.
fn draft(file: &Path, version: u64, values: &Value) -> io::Result<PathBuf> {
    let draft = file.with_extension("new");
    fs::create_dir_all(file.parent().unwrap_or(Path::new(".")))?;
    fs::write(&draft, json!({ "version": version, "values": values }).to_string())?;
    Ok(draft)
}
