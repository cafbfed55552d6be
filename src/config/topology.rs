//! A rig before it is looked at: a config, and what the command line or a test says on top of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fault::Fault;
use super::plan::RigPlan;
use super::resolve;
use super::tree::Origin;

/// Describes a rig. Building one checks nothing; [`resolve`](Self::resolve) finds every fault at once.
///
/// ```
/// use labrig::config::Topology;
///
/// let rig = Topology::from_toml("schema = 1\n[managers.motor]\nkind = \"motor.sim\"")
///     .set("managers.motor.queue.depth", "64");
/// let resolution = rig.resolve();
/// assert!(resolution.faults.is_empty());
/// assert_eq!(resolution.plan.managers[0].queue_depth, 64);
/// ```
#[derive(Clone, Debug)]
pub struct Topology {
    pub(super) text: String,
    pub(super) path: Option<PathBuf>,
    pub(super) origin: Arc<Origin>,
    pub(super) overrides: Vec<(String, String)>,
    pub(super) program: Option<PathBuf>,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) run_dir: Option<PathBuf>,
    pub(super) runtime_dir: Option<PathBuf>,
}

/// What a topology says, and everything that is wrong with it.
#[derive(Clone, Debug)]
pub struct Resolution {
    /// The rig, as far as it could be understood. To be acted on only when there are no faults.
    pub plan: RigPlan,
    /// Every fault of the config.
    pub faults: Vec<Fault>,
}

/// Why a config file could not be read at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the config `{}`", path.display())]
pub struct TopologyError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: std::io::Error,
}

impl Topology {
    /// Reads a file. What is wrong with its content is a fault of [`resolve`](Self::resolve).
    ///
    /// # Errors
    /// [`TopologyError`] when the file cannot be read as text.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, TopologyError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|source| TopologyError { path: path.to_owned(), source })?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let origin = Origin { name: path.display().to_string(), folder: absolute(folder) };
        Ok(Self { path: Some(path.to_owned()), ..Self::new(text, origin) })
    }

    /// Takes the text of a config; relative paths in it start from the working folder.
    pub fn from_toml(text: impl Into<String>) -> Self {
        let origin = Origin { name: "(config text)".to_owned(), folder: absolute(Path::new(".")) };
        Self::new(text.into(), origin)
    }

    fn new(text: String, origin: Origin) -> Self {
        Self {
            text,
            path: None,
            origin: Arc::new(origin),
            overrides: Vec::new(),
            program: None,
            state_dir: None,
            run_dir: None,
            runtime_dir: None,
        }
    }

    /// Sets the value at a dotted key, over what the config says; later ones win.
    ///
    /// The value is read as TOML where it is that, else it is a text. A relative path in it starts from the
    /// working folder.
    pub fn set(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.overrides.push((key.into(), value.into()));
        self
    }

    /// The program that plays managers which name none of their own; in a test, the rig's own binary.
    pub fn program(mut self, path: impl AsRef<Path>) -> Self {
        self.program = Some(absolute(path.as_ref()));
        self
    }

    /// The folder in which state is kept from run to run.
    pub fn state_dir(mut self, path: impl AsRef<Path>) -> Self {
        self.state_dir = Some(absolute(path.as_ref()));
        self
    }

    /// The folder in which this run writes.
    pub fn run_dir(mut self, path: impl AsRef<Path>) -> Self {
        self.run_dir = Some(absolute(path.as_ref()));
        self
    }

    /// The folder below which the running rig has its socket, instead of the user's runtime folder.
    pub fn runtime_dir(mut self, path: impl AsRef<Path>) -> Self {
        self.runtime_dir = Some(absolute(path.as_ref()));
        self
    }

    /// What the manager of that name finds around it, as the text of an environment that can be stored; `saved` says
    /// when it has worked. `None` when there is no such manager, or its table says what no environment can.
    pub fn environment_text(&self, manager: &str, saved: &str) -> Option<String> {
        resolve::environment_text(self, manager, saved)
    }

    /// Understands as much as can be understood, and reports every fault. Opens nothing but the
    /// stored environments of its state folder, changes nothing.
    pub fn resolve(&self) -> Resolution {
        resolve::resolve(self)
    }
}

/// The path from the root. Where even the working folder is unknown, it stays as it is.
pub(super) fn absolute(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    whole.components().collect()
}
