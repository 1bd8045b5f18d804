//! The process group of the command that runs for a project, if one does: what
//! a start after a crash must end before it does anything else there.

use rollbackd_core::words::ProjectName;
use rusqlite::{OptionalExtension, params};

use super::{database::Store, error::StoreError};
use crate::host::command::Group;

impl Store {
    /// Notes the group that is about to run for a project, in place of an
    /// earlier one.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn command_began(
        &mut self,
        project: &ProjectName,
        group: &Group,
    ) -> Result<(), StoreError> {
        let held = serde_json::json!(group).to_string();
        self.write(|step| {
            step.execute(
                "INSERT OR REPLACE INTO command VALUES (?, ?)",
                [project.as_str(), &held],
            )?;
            Ok(())
        })
    }

    /// Forgets the group of a project: all of it has ended.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn command_ended(&mut self, project: &ProjectName) -> Result<(), StoreError> {
        self.write(|step| {
            step.execute("DELETE FROM command WHERE project = ?", params![project.as_str()])?;
            Ok(())
        })
    }

    /// The group that was noted last for a project and not forgotten.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn command(&self, project: &ProjectName) -> Result<Option<Group>, StoreError> {
        let sql = "SELECT held FROM command WHERE project = ?";
        let held: Option<String> = self
            .state
            .query_row(sql, [project.as_str()], |row| row.get(0))
            .optional()
            .map_err(|error| self.wrong(&error))?;
        held.map(|held| self.decode(&held, "command", project)).transpose()
    }
}
