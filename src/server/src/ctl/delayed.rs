//! Delayed messages: see them, and change what will become of them.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    client::segment,
    commands::{Context, array, missing},
    error::Error,
    lists,
    output::choose,
};

/// The commands about delayed messages.
#[derive(Debug, Subcommand)]
#[command(rename_all = "snake_case")]
pub(super) enum DelayedCommand {
    /// List exchanges that hold messages back: how many, and when the next is due
    ListDelayedExchanges { columns: Vec<String> },
    /// List messages that an exchange holds back, soonest first
    ListDelayed {
        exchange: String,
        columns: Vec<String>,
        #[command(flatten)]
        filter: Filter,
        /// Messages at most
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Cancel a delayed message, by its id in list_delayed
    CancelDelayed { exchange: String, id: String },
    /// Give a delayed message another time
    RescheduleDelayed {
        exchange: String,
        id: String,
        /// From now, in milliseconds
        #[arg(long = "delay-ms", value_name = "MS", conflicts_with = "at_ms", required_unless_present = "at_ms")]
        delay_ms: Option<u64>,
        /// In milliseconds since 1970
        #[arg(long = "at-ms", value_name = "MS")]
        at_ms: Option<u64>,
    },
    /// Send a delayed message on now
    DeliverDelayed { exchange: String, id: String },
    /// Cancel all messages that an exchange holds back, or some
    PurgeDelayed {
        exchange: String,
        #[command(flatten)]
        filter: Filter,
    },
}

/// Which delayed messages.
#[derive(Args, Debug)]
pub(super) struct Filter {
    /// With this message id
    #[arg(long)]
    message_id: Option<String>,
    /// Due at this time or later, in milliseconds since 1970
    #[arg(long, value_name = "MS")]
    from_ms: Option<u64>,
    /// Due before this time, in milliseconds since 1970
    #[arg(long, value_name = "MS")]
    until_ms: Option<u64>,
}

impl Filter {
    fn query(&self) -> String {
        let number = |name, number: Option<u64>| number.map(|number| format!("{name}={number}"));
        let id = self.message_id.as_ref().map(|id| format!("message_id={}", segment(id)));
        let parts = [id, number("from_ms", self.from_ms), number("until_ms", self.until_ms)];
        parts.into_iter().flatten().collect::<Vec<_>>().join("&")
    }
}

/// Messages asked for at a time.
const PAGE_SIZE: usize = 500;

impl Context<'_> {
    pub(super) fn delayed(&self, command: &DelayedCommand) -> Result<(), Error> {
        match command {
            DelayedCommand::ListDelayedExchanges { columns } => self.list(&lists::DELAYED_EXCHANGES, columns),
            DelayedCommand::ListDelayed { exchange, columns, filter, limit } => {
                self.list_delayed(exchange, columns, filter, *limit)
            }
            DelayedCommand::CancelDelayed { exchange, id } => {
                self.output.remark(&format!("Cancelling delayed message {id} of exchange '{exchange}'"));
                let path = self.message_path(exchange, id);
                self.client.delete(&path).map_err(|error| missing(error, "delayed message", id))
            }
            DelayedCommand::RescheduleDelayed { exchange, id, delay_ms, at_ms } => {
                self.output.remark(&format!("Rescheduling delayed message {id} of exchange '{exchange}'"));
                let body = match delay_ms {
                    Some(delay_ms) => json!({ "delay_ms": delay_ms }),
                    None => json!({ "due_ms": at_ms }),
                };
                let moved = self.client.put_for(&self.message_path(exchange, id), &body);
                let moved = moved.map_err(|error| missing(error, "delayed message", id))?;
                self.output.result(moved["id"].as_str().unwrap_or_default());
                Ok(())
            }
            DelayedCommand::DeliverDelayed { exchange, id } => {
                self.output.remark(&format!("Delivering delayed message {id} of exchange '{exchange}'"));
                let path = format!("{}/deliver", self.message_path(exchange, id));
                self.client.post(&path, &json!({})).map(drop).map_err(|error| missing(error, "delayed message", id))
            }
            DelayedCommand::PurgeDelayed { exchange, filter } => {
                self.output.remark(&format!("Cancelling delayed messages of exchange '{exchange}'"));
                let path = format!("{}?{}", self.delayed_path(exchange), filter.query());
                let purged =
                    self.client.delete_for(&path).map_err(|error| missing(error, "delayed exchange", exchange))?;
                self.output.result(&purged["cancelled"].to_string());
                Ok(())
            }
        }
    }

    fn list_delayed(&self, exchange: &str, columns: &[String], filter: &Filter, limit: usize) -> Result<(), Error> {
        let columns = choose(columns, lists::DELAYED_COLUMNS, lists::DELAYED_DEFAULT)?;
        self.output.remark(&format!("Listing delayed messages of exchange '{exchange}'"));
        let mut items = Vec::new();
        let mut after = String::new();
        while items.len() < limit {
            let page_size = (limit - items.len()).min(PAGE_SIZE);
            let path = format!("{}?page_size={page_size}&{}{after}", self.delayed_path(exchange), filter.query());
            let page = self.client.get(&path).map_err(|error| missing(error, "delayed exchange", exchange))?;
            items.extend(array(page["messages"].clone()));
            match &page["next"] {
                Value::String(next) => after = format!("&after={next}"),
                _ => break,
            }
        }
        self.output.list(&items, &columns);
        Ok(())
    }

    fn delayed_path(&self, exchange: &str) -> String {
        format!("delayed/{}/{}", self.in_path, segment(exchange))
    }

    fn message_path(&self, exchange: &str, id: &str) -> String {
        format!("{}/{}", self.delayed_path(exchange), segment(id))
    }
}
