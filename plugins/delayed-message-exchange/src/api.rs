//! Seeing and changing what waits, over the management API.
//!
//! A message's id in a path is where it stands: when it is due and its number, `1767225600000-42`.

use std::{fmt::Display, sync::Arc};

use leveret_amqp::OwnedProperties;
use leveret_broker::{
    access::{Permission, Resource},
    plugin::{HttpError, HttpMethod, HttpRequest, HttpResponse, HttpRoute, payload_to_json, properties_to_json},
    timeline::{LATENESS_BOUNDS_MS, Listing, Slot, Store, Timeline, Waiting},
};
use serde_json::{Value, json};

/// Messages on a page, unless the request says how many.
const PAGE_SIZE: u64 = 100;
const PAGE_SIZE_MAX: u64 = 500;

/// Messages cancelled in one commit, where many are.
const CANCELLED_AT_ONCE: usize = 1000;

const EXCHANGE: &str = "/delayed/{vhost}/{exchange}";
const MESSAGE: &str = "/delayed/{vhost}/{exchange}/{id}";

pub(crate) fn routes() -> Vec<HttpRoute> {
    use HttpMethod::{Delete, Get, Post, Put};
    vec![
        HttpRoute::new(Get, "/delayed", "exchanges that hold messages back: how many, when the next is due", all),
        HttpRoute::new(Get, "/delayed/{vhost}", "those of a vhost", of_vhost),
        HttpRoute::new(
            Get,
            EXCHANGE,
            "messages that wait, soonest first; ?message_id=, ?from_ms=, ?until_ms=, ?page_size=, and ?after= the id that \
             the page before gave as next",
            list,
        ),
        HttpRoute::new(Delete, EXCHANGE, "cancel all that wait, or those of a message_id, from_ms or until_ms", purge),
        HttpRoute::new(Get, MESSAGE, "one message with its payload", one),
        HttpRoute::new(Delete, MESSAGE, "cancel one", cancel),
        HttpRoute::new(
            Put,
            MESSAGE,
            "give one another time: {\"due_ms\": …} or {\"delay_ms\": …} from now",
            reschedule,
        ),
        HttpRoute::new(Post, "/delayed/{vhost}/{exchange}/{id}/deliver", "send one on now", deliver),
    ]
}

fn all(request: &HttpRequest<'_>) -> Result<HttpResponse, HttpError> {
    let vhosts = request.caller.vhosts();
    let timelines = vhosts.iter().flat_map(|vhost| vhost.timelines());
    timelines.map(|timeline| summary(request, &timeline)).collect::<Result<_, _>>().map(HttpResponse::Json)
}

fn of_vhost(request: &HttpRequest<'_>) -> Result<HttpResponse, HttpError> {
    let timelines = request.caller.vhost(request.segment("vhost")?)?.timelines();
    timelines.iter().map(|timeline| summary(request, timeline)).collect::<Result<_, _>>().map(HttpResponse::Json)
}

fn list(request: &HttpRequest<'_>) -> Result<HttpResponse, HttpError> {
    let timeline = timeline(request, Permission::Read)?;
    let page_size = request.query_number("page_size")?.unwrap_or(PAGE_SIZE);
    if !(1..=PAGE_SIZE_MAX).contains(&page_size) {
        return Err(HttpError::BadRequest(format!("page_size is 1 to {PAGE_SIZE_MAX}")));
    }
    let count_max = usize::try_from(page_size).unwrap_or(usize::MAX);
    let Filter { message_id, mut from, until } = Filter::of(request)?;
    if let Some(after) = request.query.get("after") {
        from = from.max(parse_id(after)?);
    }
    let store = request.broker.store();
    let listing = Filter { message_id, from, until }.list(&timeline, store, count_max)?;
    let messages: Vec<_> = listing.messages.iter().map(|waiting| message(&timeline, waiting)).collect();
    Ok(HttpResponse::Json(json!({ "messages": messages, "next": listing.next.map(id) })))
}

fn purge(request: &HttpRequest<'_>) -> Result<HttpResponse, HttpError> {
    let timeline = timeline(request, Permission::Write)?;
    let filter = Filter::of(request)?;
    let cancelled = if filter.is_all() {
        let turn = request.broker.turn();
        timeline.clear(&turn)
    } else {
        cancel_all(request, &timeline, &filter)?
    };
    commit(request)?;
    Ok(HttpResponse::Json(json!({ "cancelled": cancelled })))
}

fn cancel_all(request: &HttpRequest<'_>, timeline: &Arc<Timeline>, filter: &Filter) -> Result<u64, HttpError> {
    let mut cancelled = 0;
    let mut next = Some(filter.from);
    while let Some(from) = next {
        let rest = Filter { from, ..filter.clone() };
        let listing = rest.list(timeline, request.broker.store(), CANCELLED_AT_ONCE)?;
        next = listing.next;
        let turn = request.broker.turn();
        for waiting in &listing.messages {
            cancelled += u64::from(timeline.cancel(&turn, waiting.slot).map_err(unreadable)?);
        }
        drop(turn);
        // Before more is taken up: what is cancelled and not written is kept in memory.
        commit(request)?;
    }
    Ok(cancelled)
}

fn one(request: &HttpRequest<'_>) -> Result<HttpResponse, HttpError> {
    let timeline = timeline(request, Permission::Read)?;
    let found = timeline.get(request.broker.store(), slot(request)?).map_err(unreadable)?;
    let waiting = found.ok_or(HttpError::NotFound)?;
    let mut shown = message(&timeline, &waiting);
    if let Some(record) = waiting.record() {
        let (payload, encoding) = payload_to_json(record.body, false);
        shown["payload"] = json!(payload);
        shown["payload_encoding"] = json!(encoding);
    }
    Ok(HttpResponse::Json(shown))
}

fn cancel(request: &HttpRequest<'_>) -> Result<HttpResponse, HttpError> {
    let timeline = timeline(request, Permission::Write)?;
    let was_there = timeline.cancel(&request.broker.turn(), slot(request)?).map_err(unreadable)?;
    done(request, was_there)
}

fn reschedule(request: &HttpRequest<'_>) -> Result<HttpResponse, HttpError> {
    let timeline = timeline(request, Permission::Write)?;
    let slot = slot(request)?;
    let turn = request.broker.turn();
    let due_ms = match (request.body_number("due_ms")?, request.body_number("delay_ms")?) {
        (Some(due_ms), None) => due_ms,
        (None, Some(delay_ms)) => turn.now_ms.saturating_add(delay_ms),
        _ => return Err(HttpError::BadRequest("either due_ms or delay_ms must be given".to_owned())),
    };
    if due_ms > i64::MAX as u64 {
        return Err(HttpError::BadRequest("the time must fit 63 bits".to_owned()));
    }
    let moved = timeline.reschedule(&turn, slot, due_ms).map_err(unreadable)?.ok_or(HttpError::NotFound)?;
    drop(turn);
    commit(request)?;
    Ok(HttpResponse::Json(json!({ "id": id(moved), "due_ms": moved.due_ms })))
}

fn deliver(request: &HttpRequest<'_>) -> Result<HttpResponse, HttpError> {
    let timeline = timeline(request, Permission::Write)?;
    let was_there = timeline.deliver_now(&mut request.broker.turn(), slot(request)?).map_err(unreadable)?;
    done(request, was_there)
}

/// Which messages a request is about.
#[derive(Clone)]
struct Filter {
    message_id: Option<String>,
    from: Slot,
    until: Slot,
}

impl Filter {
    fn of(request: &HttpRequest<'_>) -> Result<Self, HttpError> {
        let from_ms = request.query_number("from_ms")?.unwrap_or(0);
        let until_ms = request.query_number("until_ms")?;
        Ok(Self {
            message_id: request.query.get("message_id").cloned(),
            from: Slot { due_ms: from_ms, seq: 0 },
            until: until_ms.map_or(Slot::MAX, |until_ms| Slot { due_ms: until_ms, seq: 0 }),
        })
    }

    fn list(&self, timeline: &Timeline, store: &Store, count_max: usize) -> Result<Listing, HttpError> {
        let listing = match &self.message_id {
            Some(id) => timeline.find(store, id.as_bytes(), self.from, self.until, count_max),
            None => timeline.list(store, self.from, self.until, count_max),
        };
        listing.map_err(unreadable)
    }

    fn is_all(&self) -> bool {
        self.message_id.is_none() && self.from == Slot::default() && self.until == Slot::MAX
    }
}

fn timeline(request: &HttpRequest<'_>, permission: Permission) -> Result<Arc<Timeline>, HttpError> {
    let vhost = request.caller.vhost(request.segment("vhost")?)?;
    let exchange = request.segment("exchange")?;
    request.caller.check(&vhost.name, permission, Resource::Exchange(exchange))?;
    vhost.timeline(exchange).ok_or(HttpError::NotFound)
}

fn slot(request: &HttpRequest<'_>) -> Result<Slot, HttpError> {
    parse_id(request.segment("id")?)
}

fn id(slot: Slot) -> String {
    format!("{}-{}", slot.due_ms, slot.seq)
}

fn parse_id(id: &str) -> Result<Slot, HttpError> {
    let numbers = id.split_once('-').and_then(|(due_ms, seq)| Some((due_ms.parse().ok()?, seq.parse().ok()?)));
    let wrong = || HttpError::BadRequest(format!("'{id}' is no id of a delayed message"));
    numbers.map(|(due_ms, seq)| Slot { due_ms, seq }).ok_or_else(wrong)
}

/// Waits until what was changed is on disk.
fn commit(request: &HttpRequest<'_>) -> Result<(), HttpError> {
    request.broker.store().flush().map_err(|error| HttpError::Store(error.to_string()))
}

fn done(request: &HttpRequest<'_>, was_there: bool) -> Result<HttpResponse, HttpError> {
    commit(request)?;
    if was_there { Ok(HttpResponse::NoContent) } else { Err(HttpError::NotFound) }
}

fn unreadable(error: impl Display) -> HttpError {
    HttpError::Store(error.to_string())
}

fn summary(request: &HttpRequest<'_>, timeline: &Timeline) -> Result<Value, HttpError> {
    let counts = timeline.counts();
    let lateness = &timeline.totals.lateness;
    let parts = lateness.counts();
    let bounds = LATENESS_BOUNDS_MS.iter().map(|bound_ms| json!(bound_ms)).chain([Value::Null]);
    let histogram = bounds.zip(parts).map(|(until_ms, count)| json!({ "until_ms": until_ms, "count": count }));
    Ok(json!({
        "name": timeline.exchange,
        "vhost": timeline.vhost,
        "messages_delayed": counts.messages,
        "message_bytes_delayed": counts.bytes,
        "next_due_ms": timeline.next_due_ms(request.broker.store()).map_err(unreadable)?,
        "delivered": parts.iter().sum::<u64>(),
        "unroutable": timeline.totals.unroutable.load(std::sync::atomic::Ordering::Relaxed),
        "lateness": { "sum_ms": lateness.sum_ms(), "histogram": histogram.collect::<Vec<_>>() },
    }))
}

fn message(timeline: &Timeline, waiting: &Waiting) -> Value {
    let mut shown = json!({
        "id": id(waiting.slot), "due_ms": waiting.slot.due_ms, "vhost": timeline.vhost, "delayed_by": timeline.exchange,
    });
    if let Some(record) = waiting.record() {
        let properties = OwnedProperties::decode(record.properties_raw).unwrap_or_default();
        shown["exchange"] = json!(record.exchange);
        shown["routing_key"] = json!(String::from_utf8_lossy(record.routing_key));
        shown["published_ms"] = json!(record.timestamp_ms);
        shown["message_id"] = properties.message_id.as_deref().map(String::from_utf8_lossy).into();
        shown["properties"] = properties_to_json(&properties);
        shown["payload_bytes"] = json!(record.body.len());
    }
    shown
}
