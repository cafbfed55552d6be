//! As fast as processes can be started: each writes a byte and waits for the end of its input.

use std::io::{Read, Write};
use std::process::{Child, Stdio};

use harness::{Contestant, Exchange, Setup, spawn};

pub(crate) const ROLE: &str = "limit-spawn";

pub(crate) struct Spawning {
    children: Vec<Child>,
}

impl Contestant for Spawning {
    fn start(setup: &Setup) -> Self {
        let start = |_| {
            let mut command = spawn::command(ROLE, setup);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("this program runs again")
        };
        Self { children: (0..setup.children).map(start).collect() }
    }

    /// The byte of each child stands for its answer.
    fn exchange_with_all(&mut self, command: &Exchange) -> Vec<Exchange> {
        let heard = |child: &mut Child| {
            let stdout = child.stdout.as_mut().expect("it is a pipe");
            stdout.read_exact(&mut [0]).expect("a child says its byte");
            command.clone().answered()
        };
        self.children.iter_mut().map(heard).collect()
    }

    fn end(self) {
        for mut child in self.children {
            child.stdin = None;
            spawn::reap(child);
        }
    }
}

pub(crate) fn play_child() {
    let mut stdout = std::io::stdout();
    stdout.write_all(&[7]).and_then(|()| stdout.flush()).expect("the coordinator reads");
    let mut rest = Vec::new();
    std::io::stdin().read_to_end(&mut rest).expect("a pipe can be read");
}
