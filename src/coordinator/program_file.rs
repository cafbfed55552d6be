//! Can this file be started as a program? Asked of the file itself, since the system's own answer names neither
//! the culprit nor the cure, and a shell in between may try to read a program of another machine as a script.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;

use rustix::fs::{Access, access};

/// What keeps a file from being started, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unfit {
    pub(super) why: String,
    pub(super) cure: String,
}

fn unfit(why: impl Into<String>, cure: impl Into<String>) -> Unfit {
    Unfit { why: why.into(), cure: cure.into() }
}

/// What keeps the file from being started, as far as can be seen without starting it.
pub(super) fn unfit_to_start(program: &Path) -> Option<Unfit> {
    let metadata = match fs::metadata(program) {
        Ok(metadata) => metadata,
        Err(error) => return Some(missing(program, &error)),
    };
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "it is a folder" } else { "it is no ordinary file" };
        return Some(unfit(what, "name the program's file"));
    }
    if access(program, Access::EXEC_OK).is_err() {
        let cure = format!("make it executable: `chmod +x {}`", program.display());
        return Some(unfit("it is not executable", cure));
    }
    let mut head = Vec::new();
    // A program that may be started but not read cannot be looked into, and need not be.
    File::open(program).and_then(|file| file.take(4096).read_to_end(&mut head)).ok()?;
    unfit_head(&head)
}

fn missing(program: &Path, error: &std::io::Error) -> Unfit {
    if error.kind() != ErrorKind::NotFound {
        return unfit(error.to_string(), "correct the path, or the permissions of the folders on the way");
    }
    if fs::symlink_metadata(program).is_ok() {
        return unfit(
            "it is a link to a file that is not there",
            "mend the link, or name the program itself",
        );
    }
    let folder = program.ancestors().skip(1).find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    unfit(
        "there is no such file",
        format!("correct the path; `{}` is the last folder of it that is there", folder.display()),
    )
}

/// What is wrong with a file that begins like this.
fn unfit_head(head: &[u8]) -> Option<Unfit> {
    match head {
        [] => Some(unfit("the file is empty", "build the program again")),
        [0x7f, b'E', b'L', b'F', ..] => unfit_elf(head),
        [b'#', b'!', line @ ..] => missing_interpreter(line),
        _ => Some(unfit(
            "it is neither a program nor a script that says by what it is read",
            "name the program's file",
        )),
    }
}

fn missing_interpreter(line: &[u8]) -> Option<Unfit> {
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let interpreter = line.split_whitespace().next().unwrap_or_default();
    (!Path::new(interpreter).exists()).then(|| {
        unfit(
            format!("it is a script for `{interpreter}`, which is not there"),
            "install that, or correct the script's first line",
        )
    })
}

fn unfit_elf(head: &[u8]) -> Option<Unfit> {
    let Some(machine) = machine_of(head) else {
        return Some(unfit("the file ends in the middle of its header", "build the program again"));
    };
    if machine != OWN_MACHINE {
        let (theirs, ours) = (machine_name(machine), machine_name(OWN_MACHINE));
        let why = format!("it is made for {theirs}, and this machine is {ours}");
        return Some(unfit(why, format!("build the program for {ours}")));
    }
    None
}

/// The machine that an ELF file is made for.
fn machine_of(head: &[u8]) -> Option<u16> {
    let bytes: [u8; 2] = head.get(18..20)?.try_into().ok()?;
    let is_little = head.get(5) == Some(&1);
    Some(if is_little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
}

/// The number by which an ELF file names the machine that this program was built for.
const OWN_MACHINE: u16 = if cfg!(target_arch = "x86_64") {
    62
} else if cfg!(target_arch = "aarch64") {
    183
} else if cfg!(any(target_arch = "riscv64", target_arch = "riscv32")) {
    243
} else {
    0
};

fn machine_name(machine: u16) -> String {
    let name = match machine {
        3 => "x86",
        8 => "MIPS",
        20 => "PowerPC",
        21 => "PowerPC (64 bits)",
        22 => "S/390",
        40 => "ARM (32 bits)",
        62 => "x86-64",
        183 => "ARM (64 bits)",
        243 => "RISC-V",
        258 => "LoongArch",
        other => return format!("the machine with ELF number {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(machine: u16, is_little: bool) -> Vec<u8> {
        let mut head = vec![0; 64];
        head[..4].copy_from_slice(b"\x7fELF");
        head[5] = if is_little { 1 } else { 2 };
        head[18..20].copy_from_slice(&if is_little { machine.to_le_bytes() } else { machine.to_be_bytes() });
        head
    }

    fn check_head(head: &[u8], expected: Option<&str>) {
        let found = unfit_head(head).map(|unfit| unfit.why);
        match expected {
            Some(expected) => {
                assert!(found.as_deref().is_some_and(|why| why.contains(expected)), "{found:?}")
            }
            None => assert_eq!(found, None),
        }
    }

    #[test]
    fn a_program_of_another_machine_is_told_from_its_header() {
        check_head(&elf(OWN_MACHINE, true), None);
        check_head(&elf(40, true), Some("made for ARM (32 bits)"));
        check_head(&elf(22, false), Some("made for S/390"));
        check_head(&elf(9999, true), Some("ELF number 9999"));
        check_head(&elf(OWN_MACHINE, true)[..18], Some("in the middle of its header"));
    }

    #[test]
    fn what_is_no_program_is_told_from_its_first_bytes() {
        check_head(b"", Some("empty"));
        check_head(b"hello", Some("neither a program nor a script"));
        check_head(b"#!/bin/sh\nexit 0\n", None);
        check_head(b"#! /no/such/shell -e\n", Some("`/no/such/shell`, which is not there"));
    }

    #[test]
    fn this_program_can_be_started() {
        assert_eq!(unfit_to_start(&std::env::current_exe().expect("it has a file")), None);
    }
}
