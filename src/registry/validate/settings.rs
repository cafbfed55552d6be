//! Settings: do their defaults fit their own bounds?

use std::path::Path;

use crate::config::{Code, Fault, arguments, check};
use crate::registry::view::View;

/// A manager begins with its defaults, so these fit what is asked of every change.
pub(super) fn defaults(view: &View<'_>, faults: &mut Vec<Fault>) {
    for started in &view.started {
        let Some(settings) = &started.kind.settings else { continue };
        let json = serde_json::from_str(&settings.defaults).unwrap_or_default();
        let tree = arguments::from_json(&json, Path::new("."), &mut Vec::new());
        for misfit in check(&tree, &settings.schema, "").faults {
            let (label, name) = (started.label(), settings.schema.root.describe());
            let message = format!("the defaults of {label} do not fit its own settings: {}", misfit.message);
            let fault = Fault::new(Code::SettingsUnfit, message);
            let fault = fault.at(settings.site.clone(), format!("`{name}`"));
            faults.push(
                fault.hint(misfit.hint.unwrap_or_else(|| "correct the default, or the bound".to_owned())),
            );
        }
    }
}
