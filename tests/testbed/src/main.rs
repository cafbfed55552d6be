//! The program of the testbed: it plays every manager that the tests need.

use std::process::ExitCode;

use labrig_testbed as _;

fn main() -> ExitCode {
    labrig::main()
}
