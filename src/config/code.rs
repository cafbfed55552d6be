//! The codes of all start-up faults.
//!
//! A code is a promise: its text never changes its meaning and is never given out again. `config/README.md`
//! explains each, and a test compares that table with this one. To add a code, add a line below and a row there.

use std::fmt;

/// What a fault is about, for programs that treat some faults differently.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FaultKind {
    /// The config says something that cannot be.
    Config,
    /// A kind, handler, input or scope is not registered as the rig needs it.
    Registration,
    /// Two handlers, kinds, commands or programs contradict each other.
    Conflict,
    /// A command has no handler where it needs one.
    MissingHandler,
    /// Something names a command that no program of the rig knows.
    UnknownCommand,
    /// A program cannot be asked what it contains, or cannot be started.
    Program,
    /// Something outside the rig: a folder, or another coordinator.
    Surroundings,
    /// A script cannot be played by this rig.
    Script,
}

macro_rules! codes {
    ($($code:ident = $text:literal, $kind:ident, $title:literal;)*) => {
        /// The code of a fault: `L0…` for the config, `L1…` for the registry, `L2…` for programs, `L3…` for scripts.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Code {
            $(#[doc = $title] $code,)*
        }

        impl Code {
            /// Every code, in order of its text.
            pub const ALL: &'static [Self] = &[$(Self::$code,)*];

            /// The code as people read it, such as `L003`.
            pub fn text(self) -> &'static str {
                match self { $(Self::$code => $text,)* }
            }

            /// What every fault of this code has in common, in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Self::$code => $title,)* }
            }

            /// What the fault is about.
            pub fn kind(self) -> FaultKind {
                match self { $(Self::$code => FaultKind::$kind,)* }
            }
        }
    };
}

codes! {
    Syntax = "L001", Config, "not TOML";
    NotANumber = "L002", Config, "a number that is infinite, not a number, or too large";
    UnknownKey = "L003", Config, "unknown key";
    MissingKey = "L004", Config, "missing key";
    WrongType = "L005", Config, "wrong type";
    OutOfBounds = "L006", Config, "number out of bounds";
    OutOfRange = "L007", Config, "number that its type cannot hold";
    UnknownVariant = "L008", Config, "unknown choice";
    BadOverride = "L010", Config, "`--set` that cannot be applied";
    TooDeep = "L011", Config, "nested too deep";
    SchemaVersion = "L012", Config, "unknown version of the config's schema";
    BadName = "L020", Config, "invalid name";
    NoManagers = "L021", Config, "no managers";
    UnknownManager = "L022", Config, "unknown manager";
    UnknownStream = "L023", Config, "unknown stream";
    CyclicOrder = "L024", Config, "cycle in `after`";
    NoProducer = "L025", Config, "stream without producer";
    EmptyKind = "L026", Config, "empty kind";
    ReadsItself = "L027", Config, "manager reads its own stream";
    TooFewSlots = "L028", Config, "too few slots";
    BadEnvironment = "L029", Config, "text that a process cannot be given";
    UnknownEnvironment = "L030", Config, "unknown stored environment";
    EnvironmentUnreadable = "L031", Config, "stored environments that cannot be read";
    PooledProducer = "L032", Config, "pool that is to fill a stream";

    UnknownKind = "L100", Registration, "unknown kind";
    KindTwice = "L101", Conflict, "kind registered twice";
    EmptyHandlers = "L102", Registration, "kind without handlers";
    HandledTwice = "L103", Conflict, "command handled twice within a kind";
    RivalKinds = "L104", Conflict, "direct command handled by several kinds";
    RoleIncomplete = "L105", MissingHandler, "kind lacks a handler of its role";
    ScopeTwice = "L106", Conflict, "scope command handled twice";
    ScopeMissing = "L107", MissingHandler, "scope command without handler in the scope";
    Misplaced = "L108", Registration, "handler where its command never arrives";
    AudienceMissing = "L109", MissingHandler, "broadcast with a handler missing";
    AudienceEmpty = "L110", MissingHandler, "broadcast to a group without managers";
    NameTwice = "L111", Conflict, "two commands with one name";
    Disagreement = "L112", Conflict, "programs disagree on a command";
    InputUnbound = "L113", Registration, "input without stream";
    InputUnread = "L114", Registration, "bound input that nothing reads";
    ReaderWithoutInput = "L115", Registration, "reader without input";
    ScopeNotBuilt = "L116", Registration, "scope value that nobody builds";
    SignalTwice = "L117", Conflict, "two signals of a kind with one name";
    SignalsUnfit = "L118", Registration, "signals that cannot be published";
    SettingsUnfit = "L119", Registration, "settings whose defaults do not fit";
    StartupUnknown = "L120", UnknownCommand, "start-up command that nobody knows";
    StartupUnreachable = "L121", MissingHandler, "start-up command without a started handler";
    StartupNotServed = "L122", MissingHandler, "start-up command that its manager does not serve";
    StartupDelivery = "L123", Registration, "start-up command that is not direct";
    SharedTwice = "L124", Conflict, "two shared objects of a kind with one name";
    SharedUnfit = "L125", Registration, "object that cannot be shared";

    ProgramNotStarted = "L201", Program, "program that cannot be started";
    ProgramSilent = "L202", Program, "program that does not say what it contains";
    ProgramVersion = "L203", Program, "program of another version of labrig";
    ProgramNeeded = "L204", Program, "manager without a program to play it";
    WorkingDir = "L205", Program, "folder that a manager cannot run in";
    NoSuchProcessor = "L206", Program, "processor that is not there";
    SafeProgramUnfit = "L207", Program, "safe program that cannot be started";
    FolderUnusable = "L208", Surroundings, "folder that the rig cannot use";
    StateFolderHeld = "L209", Surroundings, "state folder that another coordinator holds";
    PriorityDenied = "L210", Surroundings, "priority that the rig may not give";

    ScriptStep = "L301", Script, "step that does not say one thing";
    ScriptCommand = "L302", Script, "command in a script that nobody serves";
    ScriptForbidden = "L303", Script, "command that scripts may not use";
    ScriptAddress = "L304", Script, "command in a script without one manager to take it";
    ScriptSignal = "L305", Script, "signal in a script that cannot be waited for";
    ScriptProcedure = "L306", Script, "procedure in a script that cannot be launched";
    ScriptVariable = "L307", Script, "variable that is not there, or twice";
    ScriptLoop = "L308", Script, "loop without rounds or steps";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_in_order() {
        let texts: Vec<_> = Code::ALL.iter().map(|code| code.text()).collect();
        assert!(texts.is_sorted_by(|a, b| a < b), "{texts:?}");
    }
}
