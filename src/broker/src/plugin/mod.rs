//! The seam: what a plugin is, and what it may add to a broker.
//!
//! A plugin says what it adds before the broker opens ([`Plugin::register`]) and may begin work of its own once the
//! broker is there ([`Plugin::start`]). Which plugins there are is one explicit list, given to whoever composes a server.
//! What nobody registered costs nothing: most of the registry is only read while the server is put together, and where
//! somebody might be told of something there is a look at an empty list.
//!
//! Not taken: libraries loaded at run time (Rust has no stable binary interface, and a plugin could do what it likes
//! anyway), and lists that fill themselves before `main` (what a server consists of should be seen in one place).

mod event;
mod http;
mod interceptor;
mod json;
mod observer;
mod protocol;
mod registry;
mod settings;

use std::{error::Error, sync::Arc};

pub use event::{Alarm, Channel, Connection, Consumer, ConsumerTerms, Event, EventKind, InVHost, Login};
pub use http::{HttpCaller, HttpError, HttpHandler, HttpMethod, HttpRequest, HttpResponse, HttpRoute};
pub use interceptor::{Draft, IncomingMessage, Interceptor};
pub use json::{JsonTableError, payload_to_json, properties_to_json, table_from_json, table_to_json};
pub use observer::{Observer, internal_user};
pub use protocol::{Client, Entrance, Entry, ListenAddress, PasswordLogin, Protocol, Serving, Stream};
pub use registry::{Predeclared, RegisterError, Registry};
pub use settings::{Section, Setup};

pub(crate) use observer::{News, tell};

use crate::Broker;

/// Something that can be added to a broker, or left out.
pub trait Plugin: Send + Sync {
    /// Its name in `plugins.enabled`, such as `consistent-hash-exchange`.
    fn name(&self) -> &'static str;

    /// What it is for, in a line.
    fn description(&self) -> &'static str;

    /// Its section of the configuration, where it has one; [`Registry::section`] gives what that says.
    fn section(&self) -> Option<Section> {
        None
    }

    /// Adds what it has to a broker that is about to be opened.
    ///
    /// # Errors
    /// Where a name is taken, or its section of the configuration is wrong: that stops the start.
    fn register(&self, registry: &mut Registry) -> Result<(), RegisterError>;

    /// Begins what it does by itself. The broker has recovered what was stored; clients cannot connect yet.
    ///
    /// # Errors
    /// Whatever makes it useless to go on: that stops the start.
    fn start(&self, _broker: &Arc<Broker>) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }

    /// Ends what [`Self::start`] began. Clients are gone; the broker still takes changes.
    fn stop(&self) {}
}
