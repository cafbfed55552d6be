//! The role of a program: coordinator, manager, guardian, or one that is only asked what it contains.
//!
//! One program plays them all. Which one is decided by descriptor 0: a coordinator that starts another
//! process puts the pipe there. Everything else is the command line.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::coordinator::{FailureReport, manifest, scope_of};
use crate::registry::{Context, Outcome, ScopeHandles, SetupError};
use crate::remote::Scope;
use crate::transport::{Role, declare_that_this_program_plays_managers, inherited_role};
use crate::{cli, guardian, manager};

/// A labrig program, to be completed and then run.
#[derive(Default)]
pub struct App {
    program: cli::Program,
}

/// Begins a labrig program: `labrig::app().scope(|context| Ok(Lab::new())).main()`.
pub fn app() -> App {
    App::default()
}

/// Runs a labrig program whose scope is `Default`, or that has none.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     labrig::main()
/// }
/// ```
pub fn main() -> ExitCode {
    app().main()
}

impl App {
    /// Gives the value that serves the scope's commands. It is built in the coordinator only.
    pub fn scope<S: ScopeHandles>(
        mut self,
        build: impl FnOnce(&mut Context) -> Result<S, SetupError> + Send + 'static,
    ) -> Self {
        self.program.scopes.push(scope_of(build));
        self
    }

    /// The text of the config that runs when the command line names none; usually `include_str!`.
    pub fn default_config(mut self, toml: &'static str) -> Self {
        self.program.default_config = Some(toml);
        self
    }

    /// How long that config runs when the command line does not say; without it, until it quits.
    pub fn default_duration(mut self, duration: Duration) -> Self {
        self.program.default_duration = Some(duration);
        self
    }

    /// What the first Ctrl-C does in place of quitting, such as taking back what the program is at; the next one
    /// quits. It runs on a thread of its own.
    pub fn on_interrupt(mut self, interrupted: impl FnOnce() + Send + 'static) -> Self {
        self.program.on_interrupt = Some(Box::new(interrupted));
        self
    }

    /// What is done before the rig quits, while everything still works; the quit waits for it, for as long as
    /// the quit deadline says, or until the next Ctrl-C. It runs on a thread of its own.
    pub fn before_quit(mut self, hook: impl FnOnce(&Scope) + Send + 'static) -> Self {
        self.program.hooks.before_quit.push(Box::new(hook));
        self
    }

    /// Is told of what fails without any call to tell of it: managers that die, or hang.
    pub fn on_failure(mut self, told: impl Fn(&FailureReport) + Send + Sync + 'static) -> Self {
        self.program.hooks.on_failure.push(Arc::new(told));
        self
    }

    /// Plays the role that this process was started in, or reads the command line.
    pub fn main(self) -> ExitCode {
        self.play(|program| cli::main(program, None))
    }

    /// As [`main`](Self::main), but when a rig runs, `then` has the main thread, as a window needs it. The rig
    /// quits when `then` returns.
    ///
    /// `then` returns nothing, or a `Result` with any error: it is printed, and the program ends with code 1
    /// unless the rig itself has a worse tale to tell.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use labrig::CallError;
    /// use labrig::managers::motor::Home;
    ///
    /// fn main() -> std::process::ExitCode {
    ///     labrig::app().main_with(|scope| -> Result<(), CallError> {
    ///         let settled = scope.request(Home {})?.wait(Duration::from_secs(5))?;
    ///         println!("at home: {settled:?}");
    ///         Ok(())
    ///     })
    /// }
    /// ```
    pub fn main_with<T>(self, then: impl FnOnce(Scope) -> T) -> ExitCode
    where
        T: Outcome<(), Error: Into<Box<dyn Error>>>,
    {
        let then = |scope: Scope| {
            let outcome = then(scope.clone()).into_outcome(&scope);
            outcome.map_err(|failure| failure.to_string())?.map_err(Into::into)
        };
        self.play(|program| cli::main(program, Some(Box::new(then))))
    }

    fn play(self, otherwise: impl FnOnce(cli::Program) -> ExitCode) -> ExitCode {
        declare_that_this_program_plays_managers();
        match inherited_role() {
            Ok(Some(Role::Manager(pipe))) => manager::run(pipe),
            Ok(Some(Role::Guardian(pipe))) => guardian::run(pipe),
            Ok(Some(Role::Manifest(socket))) => manifest::state_manifest(socket),
            Ok(None) => otherwise(self.program),
            Err(error) => {
                eprintln!("labrig: cannot take the role this program was started in: {error}");
                ExitCode::FAILURE
            }
        }
    }
}
