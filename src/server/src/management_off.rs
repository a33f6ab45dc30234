//! In the place of the management interface in a build without it: no doors, and nothing to be told.

use std::{io, net::SocketAddr, path::Path, sync::Arc};

use leveret_broker::{Broker, plugin::Registry};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{config::Config, registry::Connections};

/// Where a server that has the interface would have its socket.
pub(crate) const SOCKET_NAME: &str = "leveret.sock";

/// What the interface would see.
pub(crate) struct Front;

impl Front {
    pub(crate) fn new(_: &Arc<Connections>, _: &str, _: Vec<(&'static str, SocketAddr)>, _: &Registry) -> Self {
        Self
    }
}

pub(crate) const fn is_enabled(_: &Config) -> bool {
    false
}

#[expect(clippy::unnecessary_wraps)]
pub(crate) fn serve(
    _: &Arc<Broker>,
    _: Front,
    _: Option<TcpListener>,
    _: usize,
    _: &Path,
    _: &TaskTracker,
    _: &CancellationToken,
) -> io::Result<()> {
    Ok(())
}
