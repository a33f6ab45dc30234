//! A policy for all queues that is changed, and takes nothing away.

use std::path::Path;

use lapin::Result;

use super::{Client, ctl};

/// The limit that the policy sets is this and its number: more messages than there are.
const LENGTH: usize = 1_000_000;
const KEY: &str = "\"max-length\":";

/// Changes it again and again.
pub(super) async fn change(client: &mut Client) -> Result<()> {
    loop {
        let number = client.ledger.sets_policy();
        let definition = format!("{{{KEY} {}, \"message-ttl\": {}}}", LENGTH + number, 3_600_000 + number);
        let data = client.data.clone();
        let set = move || ctl::run(&data, &["set_policy", "all", ".*", &definition, "--apply-to", "queues"]);
        match tokio::task::spawn_blocking(set).await {
            Ok(Ok(output)) if output.status.success() => client.ledger.policy_set(number),
            // The broker is gone.
            _ => return Ok(()),
        }
        client.pause().await;
    }
}

/// The number of the policy that there is.
///
/// # Errors
/// When the broker cannot be asked, or says what nobody set.
pub(crate) async fn current(data: &Path) -> std::result::Result<Option<usize>, String> {
    let said = ctl::ask(data, &["list_policies", "--format", "json"]).await?.replace(['\\', ' '], "");
    let Some((_, behind)) = said.split_once(KEY) else { return Ok(None) };
    let digits: String = behind.chars().take_while(char::is_ascii_digit).collect();
    let length = digits.parse::<usize>().ok().and_then(|length| length.checked_sub(LENGTH));
    length.map(Some).ok_or_else(|| format!("nobody set this policy: {said}"))
}
