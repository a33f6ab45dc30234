//! Query parameters that every list understands: `page`, `page_size`, `name`, `sort`, `sort_reverse`, `columns`.

use axum::Json;
use regex::RegexBuilder;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::ApiError;

const PAGE_SIZE_MAX: usize = 500;
const PAGE_SIZE_DEFAULT: usize = 100;
/// A compiled pattern's memory.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// The query of a list.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ListQuery {
    page: Option<usize>,
    page_size: Option<usize>,
    name: Option<String>,
    use_regex: Option<String>,
    sort: Option<String>,
    sort_reverse: Option<bool>,
    columns: Option<String>,
}

impl ListQuery {
    /// Filters, sorts, cuts to columns and to a page.
    pub(crate) fn apply(&self, mut items: Vec<Value>) -> Result<Json<Value>, ApiError> {
        let total = items.len();
        if let Some(name) = &self.name {
            self.filter(name, &mut items)?;
        }
        if let Some(path) = &self.sort {
            items.sort_by(|one, other| order(field(one, path), field(other, path)));
        }
        if self.sort_reverse == Some(true) {
            items.reverse();
        }
        match self.page {
            None => Ok(Json(Value::Array(self.columns_of(items)))),
            Some(page) => self.page_of(page, items, total),
        }
    }

    fn filter(&self, name: &str, items: &mut Vec<Value>) -> Result<(), ApiError> {
        // Python's clients write `True`.
        if self.use_regex.as_deref().is_some_and(|flag| flag.eq_ignore_ascii_case("true")) {
            let pattern =
                RegexBuilder::new(name).size_limit(PATTERN_BYTES_MAX).build().map_err(ApiError::bad_request)?;
            items.retain(|item| item["name"].as_str().is_some_and(|candidate| pattern.is_match(candidate)));
        } else {
            items.retain(|item| item["name"].as_str().is_some_and(|candidate| candidate.contains(name)));
        }
        Ok(())
    }

    fn page_of(&self, page: usize, items: Vec<Value>, total: usize) -> Result<Json<Value>, ApiError> {
        let size = self.page_size.unwrap_or(PAGE_SIZE_DEFAULT);
        if page == 0 || size == 0 || size > PAGE_SIZE_MAX {
            return Err(ApiError::bad_request(format!("page starts at 1, page_size is 1 to {PAGE_SIZE_MAX}")));
        }
        let filtered = items.len();
        let pages = filtered.div_ceil(size).max(1);
        if page > pages {
            return Err(ApiError::bad_request(format!("page_out_of_range: {page}, there are {pages}")));
        }
        let items: Vec<_> = items.into_iter().skip((page - 1) * size).take(size).collect();
        Ok(Json(json!({
            "page": page, "page_count": pages, "page_size": size, "item_count": items.len(),
            "filtered_count": filtered, "total_count": total, "items": self.columns_of(items),
        })))
    }

    fn columns_of(&self, items: Vec<Value>) -> Vec<Value> {
        let Some(columns) = &self.columns else { return items };
        let pick = |item: &Value| {
            let picked = columns.split(',').filter(|path| !field(item, path).is_null());
            picked.map(|path| (path.to_owned(), field(item, path).clone())).collect::<Map<_, _>>()
        };
        items.iter().map(|item| Value::Object(pick(item))).collect()
    }
}

fn field<'a>(item: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(item, |value, name| &value[name])
}

fn order(one: &Value, other: &Value) -> std::cmp::Ordering {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one.total_cmp(&other),
        _ => one.to_string().cmp(&other.to_string()),
    }
}
