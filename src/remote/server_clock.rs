//! How the server's clock differs from this machine's, by the `Date` of its answers.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};

use crate::fs::Timestamp;
use crate::workers;

/// By how many seconds the server's clock is ahead; none before the first answer with a date.
#[derive(Clone, Debug, Default)]
pub(super) struct ServerClock(Arc<Mutex<Option<i64>>>);

impl ServerClock {
    pub(super) fn seconds_ahead(&self) -> Option<i64> {
        *workers::lock(&self.0)
    }

    fn note(&self, date: &str) {
        if let Some(server) = parse_date(date) {
            *workers::lock(&self.0) = Some(server.saturating_sub(Timestamp::now().seconds));
        }
    }
}

/// Connects like `object_store` does by itself, and notes the dates of answers.
#[derive(Debug)]
pub(super) struct ClockConnector(pub(super) ServerClock);

impl HttpConnector for ClockConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(ClockService {
            client: ReqwestConnector::default().connect(options)?,
            clock: self.0.clone(),
        }))
    }
}

#[derive(Debug)]
struct ClockService {
    client: HttpClient,
    clock: ServerClock,
}

type HttpAnswer<'f> = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'f>>;

impl HttpService for ClockService {
    /// The signature is that of the crate `async-trait`, which the trait uses.
    fn call<'s, 'f>(&'s self, request: HttpRequest) -> HttpAnswer<'f>
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(async move {
            let answer = self.client.execute(request).await?;
            let date = answer.headers().get("date");
            if let Some(date) = date.and_then(|date| date.to_str().ok()) {
                self.clock.note(date);
            }
            Ok(answer)
        })
    }
}

/// Seconds since the epoch of an IMF-fixdate, such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110,
/// section 5.6.7).
fn parse_date(date: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (_weekday, date) = date.split_once(", ")?;
    let parts: Vec<&str> = date.split(' ').collect();
    let [day, month, year, time, "GMT"] = *parts else {
        return None;
    };
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let time = humantime::parse_rfc3339(&format!("{year}-{month:02}-{day}T{time}Z")).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_http_are_read_and_others_are_not() {
        let read = |text| parse_date(text);
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(read("Mon, 29 Feb 2016 00:00:00 GMT"), Some(1_456_704_000));
        for text in [
            "",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 99 Nov 1994 08:49:37 GMT",
            "Sun, 06 \u{e4}ov 1994 08:49:37 GMT",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
