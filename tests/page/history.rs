//! The history on the pages: accessible, readable on a phone, and in the reader's zone.

use serde_json::json;

use crate::access::broken_rules;
use crate::browser::Browser;
use crate::common::pasts;
use crate::common::snapshots::every_status;
use crate::served::served_with;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_is_accessible_and_fits_a_phone_in_light_and_dark() {
    let address = served_with(every_status, pasts::usual(&every_status())).await;
    let browser = Browser::start().await;
    let mut tab = browser.tab().await;
    // Each combination takes a second or more, so the pictures need more of them than the test.
    let folder = std::env::var("UPKEEP_SCREENSHOTS").ok();
    for page in ["/", "/?history=90d", "/service/api", "/service/web?history=30d"] {
        for scheme in ["light", "dark"] {
            let is_tested = matches!((page, scheme), ("/", "dark") | ("/service/api", "light"));
            if !is_tested && folder.is_none() {
                continue;
            }
            tab.prefer(scheme).await;
            tab.open("about:blank").await;
            tab.open(&format!("{address}{page}")).await;
            for width in [390, 1100] {
                tab.resize(width, 900).await;
                if let Some(folder) = &folder {
                    let name = page.replace(['/', '?', '='], "_");
                    tab.screenshot(&format!("{folder}/history{name}-{scheme}-{width}.png"))
                        .await;
                }
                let found = tab.eval("document.scrollingElement.scrollWidth").await;
                assert_eq!(found, json!(width), "{page}");
            }
            if is_tested {
                let rules = broken_rules(&mut tab).await;
                assert!(rules.is_empty(), "{page} in {scheme}: {rules:#?}");
            }
        }
    }
    assert_eq!(tab.faults().await, [json!(null); 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_range_is_shown_and_times_are_in_the_zone_of_the_reader() {
    let address = served_with(every_status, pasts::usual(&every_status())).await;
    let browser = Browser::start().await;
    let mut tab = browser.windows(1).await.remove(0);
    tab.call(
        "Emulation.setTimezoneOverride",
        json!({ "timezoneId": "Asia/Tokyo" }),
    )
    .await;
    for (page, shown, hidden) in [("/", "r24h", "r90d"), ("/?history=90d", "r90d", "r24h")] {
        tab.open(&format!("{address}{page}")).await;
        // An update of a row has the strips of both ranges.
        let both = format!(
            "document.querySelector('.past').insertAdjacentHTML('beforeend', '<span class={hidden}></span>'); \
             [...document.querySelectorAll('.past > span')].map((strip) => strip.className + ' ' + getComputedStyle(strip).display)"
        );
        let found = tab.eval(&both).await;
        let found: Vec<&str> = found
            .as_array()
            .unwrap()
            .iter()
            .map(|text| text.as_str().unwrap())
            .collect();
        assert_eq!(
            found
                .iter()
                .filter(|text| **text == format!("{shown} flex"))
                .count(),
            5,
            "{found:?}"
        );
        assert!(found.contains(&format!("{hidden} none").as_str()), "{found:?}");
    }
    // Bars differ in height and pattern, not only in colour.
    let patterns = tab
        .eval("new Set([...document.querySelectorAll('nav .legend path')].map((path) => { const style = getComputedStyle(path); \
               return style.strokeWidth + style.strokeDasharray + path.getAttribute('d'); })).size")
        .await;
    assert_eq!(patterns, 6);
    tab.open(&format!("{address}/service/api")).await;
    let first = "document.querySelector('.incidents time').textContent";
    assert_eq!(tab.eval(first).await, "2023-11-15 06:08");
    assert_eq!(
        tab.eval("document.querySelector('.incidents time').title").await,
        "2023-11-14 21:08 UTC"
    );
    // A refresh keeps the zone. The page is fetched again, since it is two seconds old.
    tab.eval("window.fetches = 0; const real = fetch; window.fetch = (...all) => real(...all).finally(() => { window.fetches += 1; }); 1")
        .await;
    tab.until("window.fetches > 1").await;
    assert_eq!(tab.eval(first).await, "2023-11-15 06:08");
    assert!(
        tab.text()
            .await
            .contains("Times are in your time zone (Asia/Tokyo).")
    );
}
