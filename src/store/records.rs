//! What is known of containers: their inspect documents, what rollbacks did to
//! them, and with which image each mark of Compose was first seen.

use std::collections::HashSet;

use rollbackd_core::words::{ContainerId, ImageId, IncidentId};
use rusqlite::{OptionalExtension, params};

use super::{database::Store, error::StoreError};

/// What a rollback did to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// It made it.
    Made,
    /// It was there, and was put aside for another or was about to be.
    Replaced,
}

impl Touch {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Replaced => "replaced",
        }
    }
}

impl Store {
    /// Keeps a container's inspect document, in place of an earlier one.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn put_record(
        &mut self,
        container: &ContainerId,
        document: &serde_json::Value,
    ) -> Result<(), StoreError> {
        let document = document.to_string();
        self.write(|step| {
            step.execute(
                "INSERT OR REPLACE INTO record VALUES (?, ?)",
                params![container.as_str(), document],
            )?;
            Ok(())
        })
    }

    /// A container's inspect document, if there is one.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn record(&self, id: &ContainerId) -> Result<Option<serde_json::Value>, StoreError> {
        let document: Option<String> = self
            .state
            .query_row("SELECT document FROM record WHERE container = ?", [id.as_str()], |row| {
                row.get(0)
            })
            .optional()
            .map_err(|error| self.wrong(&error))?;
        document.map(|text| self.decode(&text, "record", id)).transpose()
    }

    /// Forgets every record but these, and what rollbacks did to the containers.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn forget_records(&mut self, except: &[ContainerId]) -> Result<(), StoreError> {
        let kept: HashSet<&str> = except.iter().map(ContainerId::as_str).collect();
        self.write(|step| {
            let mut all = step.prepare_cached("SELECT container FROM record")?;
            let all = all.query_map([], |row| row.get::<_, String>(0))?;
            for container in all.collect::<Result<Vec<_>, _>>()? {
                if !kept.contains(container.as_str()) {
                    step.execute("DELETE FROM record WHERE container = ?", [container.as_str()])?;
                    step.execute("DELETE FROM touch WHERE container = ?", [container])?;
                }
            }
            Ok(())
        })
    }

    /// Notes what a rollback does to containers: all or nothing. What it made
    /// stays made by it.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn touch(
        &mut self,
        incident: IncidentId,
        containers: &[(ContainerId, Touch)],
    ) -> Result<(), StoreError> {
        self.write(|step| {
            for (container, touch) in containers {
                step.execute(
                    "INSERT OR IGNORE INTO touch VALUES (?, ?, ?)",
                    params![container.as_str(), incident.0.cast_signed(), touch.as_str()],
                )?;
            }
            Ok(())
        })
    }

    /// What a rollback did to a container; `None`: nothing.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn touched(
        &self,
        container: &ContainerId,
        incident: IncidentId,
    ) -> Result<Option<Touch>, StoreError> {
        let sql = "SELECT touch = 'made' FROM touch WHERE container = ? AND incident = ?";
        let key = params![container.as_str(), incident.0.cast_signed()];
        let made: Option<bool> = self
            .state
            .query_row(sql, key, |row| row.get(0))
            .optional()
            .map_err(|error| self.wrong(&error))?;
        Ok(made.map(|made| if made { Touch::Made } else { Touch::Replaced }))
    }

    /// Did any rollback make this container?
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn made(&self, container: &ContainerId) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM touch WHERE container = ? AND touch = 'made')";
        self.state
            .query_row(sql, [container.as_str()], |row| row.get(0))
            .map_err(|error| self.wrong(&error))
    }

    /// Notes with which image a mark was seen, unless it was seen before.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn mark(&mut self, mark: &str, image: ImageId) -> Result<(), StoreError> {
        self.write(|step| {
            let image = image.to_string();
            step.execute("INSERT OR IGNORE INTO mark VALUES (?, ?)", params![mark, image])?;
            Ok(())
        })
    }

    /// The image with which a mark was first seen.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn marked(&self, mark: &str) -> Result<Option<ImageId>, StoreError> {
        let image: Option<String> = self
            .state
            .query_row("SELECT image FROM mark WHERE mark = ?", [mark], |row| row.get(0))
            .optional()
            .map_err(|error| self.wrong(&error))?;
        Ok(image.and_then(|image| image.parse().ok()))
    }
}
