//! Handlers need not be in a manager: these run in the coordinator, on a thread of their own.

use std::fs::OpenOptions;
use std::io::{self, Write};

use labrig::prelude::*;

/// Writes a line into the notebook and replies how many there are.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(scope, reply = usize)]
pub struct SaveNote {
    pub text: String,
}

/// `notes.txt` in the run's folder.
#[derive(Default)]
pub struct Notebook {
    lines: usize,
}

#[scope]
impl Notebook {
    #[ipc_command]
    fn save_note(&mut self, command: SaveNote, context: &mut Context) -> Result<usize, io::Error> {
        let path = context.run_dir().join("notes.txt");
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        writeln!(file, "{}", command.text)?;
        self.lines += 1;
        Ok(self.lines)
    }
}
