//! Commands about limits of vhosts and users.

use serde_json::{Value, json};

use super::{
    client::segment,
    commands::{Context, array, missing, no_such_user},
    error::Error,
    lists,
};

impl Context<'_> {
    pub(super) fn set_vhost_limits(&self, definition: &str) -> Result<(), Error> {
        let limits = parse(definition)?;
        self.output.remark(&format!("Setting vhost limits to \"{definition}\" for vhost \"{}\"", self.vhost));
        self.client.put(&self.vhost_limits(), &limits).map_err(|error| missing(error, "vhost", self.vhost))
    }

    pub(super) fn clear_vhost_limits(&self) -> Result<(), Error> {
        self.output.remark(&format!("Clearing vhost \"{}\" limits", self.vhost));
        self.client.delete(&self.vhost_limits()).map_err(|error| missing(error, "vhost", self.vhost))
    }

    pub(super) fn list_vhost_limits(&self, global: bool) -> Result<(), Error> {
        if global {
            self.output.remark("Listing limits for all vhosts");
            self.output.list(&array(self.client.get("vhost-limits")?), lists::VHOST_LIMITS);
            return Ok(());
        }
        self.output.remark(&format!("Listing limits for vhost \"{}\"", self.vhost));
        let found = self.client.get(&self.vhost_limits()).map_err(|error| missing(error, "vhost", self.vhost))?;
        self.show(&found);
        Ok(())
    }

    pub(super) fn set_user_limits(&self, name: &str, definition: &str) -> Result<(), Error> {
        let limits = parse(definition)?;
        self.output.remark(&format!("Setting user limits to \"{definition}\" for user \"{name}\""));
        self.client.patch(&user_limits(name), &limits).map_err(|error| no_such_user(error, name))
    }

    pub(super) fn clear_user_limits(&self, name: &str, limit: &str) -> Result<(), Error> {
        let path = match limit {
            "all" => {
                self.output.remark(&format!("Clearing all limits for user \"{name}\""));
                user_limits(name)
            }
            limit => {
                self.output.remark(&format!("Clearing \"{limit}\" limit for user \"{name}\""));
                format!("{}/{}", user_limits(name), segment(limit))
            }
        };
        self.client.delete(&path).map_err(|error| no_such_user(error, name))
    }

    pub(super) fn list_user_limits(&self, name: &str, global: bool) -> Result<(), Error> {
        if global {
            self.output.remark("Listing limits for all users");
            self.output.list(&array(self.client.get("user-limits")?), lists::USER_LIMITS);
            return Ok(());
        }
        self.output.remark(&format!("Listing limits for user \"{name}\""));
        let found = self.client.get(&user_limits(name)).map_err(|error| no_such_user(error, name))?;
        self.show(&found);
        Ok(())
    }

    fn vhost_limits(&self) -> String {
        format!("vhost-limits/{}", self.in_path)
    }

    /// The limits of one vhost or user: the object alone, as rabbitmqctl shows them.
    fn show(&self, found: &Value) {
        let limits = found.get(0).map_or_else(|| json!({}), |item| item["value"].clone());
        if self.output.is_json {
            self.output.json(&limits);
        } else {
            self.output.result(&limits.to_string());
        }
    }
}

fn user_limits(name: &str) -> String {
    format!("user-limits/{}", segment(name))
}

fn parse(definition: &str) -> Result<Value, Error> {
    serde_json::from_str(definition).map_err(|error| Error::Usage(format!("Could not parse JSON document: {error}")))
}
