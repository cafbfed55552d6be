//! stub
use std::path::PathBuf;

use super::description::Manifest;
use crate::config::{Fault, RigPlan};

/// stub
#[derive(Debug, Clone)]
pub struct ProgramManifest {
    /// p
    pub program: Option<PathBuf>,
    /// m
    pub manifest: Manifest,
}

/// stub
#[derive(Debug, Clone)]
pub struct CommandRegistry {
    programs: Vec<ProgramManifest>,
}

impl CommandRegistry {
    /// new
    pub fn new(programs: Vec<ProgramManifest>) -> Self {
        Self { programs }
    }
    /// programs
    pub fn programs(&self) -> &[ProgramManifest] {
        &self.programs
    }
    /// validate
    pub fn validate(&self, _plan: &RigPlan, _given: &[String]) -> Vec<Fault> {
        Vec::new()
    }
}
