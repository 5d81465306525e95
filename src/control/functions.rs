//! `GET /v1/functions`, `POST /v1/functions/approve`, `.../revoke`: user code that is approved for its body.

use axum::extract::Query;
use axum::extract::State as Shared;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::Deserialize;

use super::api::{ApproveFunctionBody, ErrorBody, FunctionView, RevokeFunctionBody, ShownFunction};
use super::caller::Caller;
use super::routes::{Answer, Refusal};
use super::server::State;
use crate::catalog::{Catalog, CatalogError, FunctionSource};
use crate::gate::Approver;
use crate::gate::functions::{ApprovedFunction, ApprovedFunctions, KeepError, SessionState};
use crate::sql::lexer::lex;
use crate::sql::token::{Token, TokenKind};
use crate::sql::{LexerSettings, Limits};

/// What these routes answer from.
#[derive(Debug, Clone)]
pub struct Functions {
    /// What is approved.
    pub approved: ApprovedFunctions,
    /// Where sources are read.
    pub catalog: Catalog,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    database: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShowQuery {
    database: String,
    oid: u32,
}

pub(super) fn router() -> Router<State> {
    Router::new()
        .route("/v1/functions", get(list))
        .route("/v1/functions/show", get(show))
        .route("/v1/functions/approve", post(approve))
        .route("/v1/functions/revoke", post(revoke))
}

fn functions(state: &State) -> Result<&Functions, Refusal> {
    state
        .functions
        .as_ref()
        .ok_or_else(|| refusal(StatusCode::NOT_FOUND, "no_such_route", "this proxy approves no functions", None))
}

fn refusal(status: StatusCode, code: &str, error: impl std::fmt::Display, hint: Option<&str>) -> Refusal {
    let body = ErrorBody { error: error.to_string(), hint: hint.map(str::to_owned), code: code.to_owned() };
    Refusal { status, body }
}

fn unreachable(error: CatalogError) -> Refusal {
    refusal(
        StatusCode::BAD_GATEWAY,
        "upstream",
        error,
        Some("does the database exist, and may the upstream's user log in there?"),
    )
}

fn not_kept(error: KeepError) -> Refusal {
    refusal(
        StatusCode::SERVICE_UNAVAILABLE,
        "not_kept",
        error,
        Some("see the data directory's owner, mode and free space"),
    )
}

fn no_function() -> Refusal {
    let hint = "`pgsluice functions list` shows what there is";
    refusal(StatusCode::NOT_FOUND, "unknown_function", "there is no such function", Some(hint))
}

async fn list(
    Shared(state): Shared<State>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Answer<Vec<FunctionView>> {
    let Query(query) = query?;
    let functions = functions(&state)?;
    let (found, facts) = functions.catalog.functions(&query.database).await.map_err(unreachable)?;
    if functions.approved.current().is_outdated(&facts) {
        functions.approved.drop_outdated(facts).await;
    }
    let approved = functions.approved.current();
    let view = |function: crate::catalog::FunctionSummary| {
        let approval = approved
            .list(&query.database)
            .find(|approved| approved.oid == function.oid && approved.hash == function.hash);
        FunctionView { approval: approval.cloned(), function }
    };
    Ok(Json(found.into_iter().map(view).collect()))
}

async fn show(Shared(state): Shared<State>, query: Result<Query<ShowQuery>, QueryRejection>) -> Answer<ShownFunction> {
    let Query(query) = query?;
    let source = functions(&state)?.catalog.function(&query.database, query.oid).await.map_err(unreachable)?;
    let source = source.ok_or_else(no_function)?;
    Ok(Json(ShownFunction { warnings: warnings(&source), source }))
}

async fn approve(
    Shared(state): Shared<State>,
    Extension(caller): Extension<Caller>,
    body: Result<Json<ApproveFunctionBody>, JsonRejection>,
) -> Answer<ApprovedFunction> {
    let Json(body) = body?;
    let functions = functions(&state)?;
    state.gate.may_decide(&Approver::from(caller.clone()))?;
    let source = functions.catalog.function(&body.database, body.oid).await.map_err(unreachable)?;
    let source = source.ok_or_else(no_function)?;
    // The facts that sessions decide with have to know this body, or a newer one.
    functions.catalog.invalidate(&body.database);
    let facts = functions.catalog.refresh(&body.database).await.map_err(unreachable)?;
    let known = facts.functions.get(&source.summary.name).into_iter().flatten();
    let is_known = known.clone().any(|known| known.code.oid == body.oid && known.code.hash == body.hash);
    if source.summary.hash != body.hash || !is_known {
        let hint = "look at it again: `pgsluice functions approve` without --hash shows it";
        return Err(refusal(StatusCode::CONFLICT, "changed", "it is not what you looked at any more", Some(hint)));
    }
    let function = approved_function(body.database, source, caller.name, body.reason);
    functions.approved.approve(function.clone(), facts.version).await.map_err(not_kept)?;
    Ok(Json(function))
}

async fn revoke(
    Shared(state): Shared<State>,
    Extension(caller): Extension<Caller>,
    body: Result<Json<RevokeFunctionBody>, JsonRejection>,
) -> Answer<ApprovedFunction> {
    let Json(body) = body?;
    let functions = functions(&state)?;
    state.gate.may_decide(&Approver::from(caller.clone()))?;
    let revoked = functions.approved.revoke(&body.database, body.oid, &caller.name, body.reason.as_deref()).await;
    let revoked = revoked.map_err(not_kept)?;
    let revoked =
        revoked.ok_or_else(|| refusal(StatusCode::NOT_FOUND, "not_approved", "that function is not approved", None))?;
    Ok(Json(revoked))
}

fn approved_function(database: String, source: FunctionSource, by: String, reason: String) -> ApprovedFunction {
    let session = session_state(&source);
    let summary = source.summary;
    ApprovedFunction {
        database,
        schema: summary.schema,
        name: summary.name,
        arguments: summary.arguments,
        oid: summary.oid,
        hash: summary.hash,
        session,
        by,
        at: crate::text::rfc3339(jiff::Timestamp::now()),
        reason,
    }
}

/// What an approver has to know beside the source.
fn warnings(source: &FunctionSource) -> Vec<String> {
    let mut warnings = Vec::new();
    if source.security_definer {
        warnings.push(format!("it runs with the rights of its owner, {}, whoever calls it", source.owner));
    }
    let sets_path = source.settings.iter().any(|setting| setting.starts_with("search_path="));
    if !sets_path && !source.resolved {
        warnings.push("it has no search_path of its own: its names mean what they mean for its caller".to_owned());
    }
    if !is_sql(source) {
        warnings.push(format!(
            "it is written in {}: the hash covers what is shown, not what that loads",
            source.summary.language
        ));
    }
    if session_state(source) == SessionState::Unknown {
        warnings.push(
            "it may change settings, roles, prepared statements or definitions: after each call, nothing of that is taken \
             for known in that session"
                .to_owned(),
        );
    }
    warnings.push(
        "the functions that it calls, and the triggers that it fires, are approved with it, whatever becomes of them"
            .to_owned(),
    );
    warnings
}

fn is_sql(source: &FunctionSource) -> bool {
    matches!(source.summary.language.as_str(), "sql" | "plpgsql")
}

/// Whether its text says that it may change what is followed of a session: settings, role, prepared statements,
/// definitions.
/// Text that is made up as it runs (`EXECUTE`) may say anything.
fn session_state(source: &FunctionSource) -> SessionState {
    const TELLING: [&str; 6] = ["set_config", "execute", "prepare", "deallocate", "discard", "session_authorization"];
    const COMMANDS: [&str; 9] = ["set", "reset", "do", "call", "create", "alter", "drop", "grant", "revoke"];
    const BEFORE_COMMANDS: [&str; 6] = ["begin", "atomic", "then", "else", "loop", "exception"];
    if !is_sql(source) {
        return SessionState::Unknown;
    }
    let lexed = |text: &str| lex(text.as_bytes(), &LexerSettings::default(), &Limits::default());
    let Ok(whole) = lexed(&source.definition) else { return SessionState::Unknown };
    // The body is a string, unless it is BEGIN ATOMIC. SET clauses stand before it, and end with the call.
    let string = whole.tokens().iter().rfind(|token| token.kind == TokenKind::String);
    let body = if source.resolved {
        Ok(whole.clone())
    } else {
        string.map_or(Ok(whole.clone()), |body| lexed(whole.text(body)))
    };
    let Ok(body) = body else { return SessionState::Unknown };
    let mut before: Option<&Token> = None;
    for token in body.tokens() {
        let starts = before.is_none_or(|before| {
            before.kind == TokenKind::Semicolon || BEFORE_COMMANDS.iter().any(|word| body.is_word(before, word))
        });
        let tells = TELLING.iter().any(|word| body.text(token) == *word);
        if tells || starts && COMMANDS.iter().any(|word| body.is_word(token, word)) {
            return SessionState::Unknown;
        }
        before = Some(token);
    }
    SessionState::Kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::FunctionSummary;

    fn source(language: &str, body: &str) -> FunctionSource {
        FunctionSource {
            summary: FunctionSummary {
                schema: "public".to_owned(),
                name: "f".to_owned(),
                arguments: String::new(),
                oid: 20_000,
                hash: "aa".to_owned(),
                kind: "function".to_owned(),
                language: language.to_owned(),
            },
            definition: format!(
                "CREATE OR REPLACE FUNCTION public.f()\n RETURNS void\n LANGUAGE {language}\n \
                 SET search_path TO 'x'\nAS $function${body}$function$\n"
            ),
            owner: "o".to_owned(),
            security_definer: false,
            settings: vec!["search_path=x".to_owned()],
            resolved: false,
        }
    }

    #[test]
    fn a_function_that_may_change_the_session_is_told_apart() {
        for (language, body, expected) in [
            ("sql", "update t set a = 1; select 2", SessionState::Kept),
            ("sql", "set search_path = evil; select 2", SessionState::Unknown),
            ("sql", "select 1; SET role x", SessionState::Unknown),
            ("sql", "select set_config('search_path', 'evil', false)", SessionState::Unknown),
            ("plpgsql", "begin update t set a = 1 where true; return; end", SessionState::Kept),
            ("plpgsql", "begin /* execute */ if a then set role x; end if; end", SessionState::Unknown),
            ("plpgsql", "begin execute 'x'; end", SessionState::Unknown),
            ("plpgsql", "begin insert into t values (1) on conflict do nothing; end", SessionState::Kept),
            ("plpgsql", "begin 'unterminated", SessionState::Unknown),
            ("plpython3u", "pass", SessionState::Unknown),
        ] {
            assert_eq!(session_state(&source(language, body)), expected, "{body}");
        }
    }

    #[test]
    fn approvers_are_warned() {
        let careful = source("sql", "select 1");
        assert_eq!(warnings(&careful).len(), 1, "{:?}", warnings(&careful));
        let careless = FunctionSource { security_definer: true, settings: Vec::new(), ..source("c", "x") };
        assert_eq!(warnings(&careless).len(), 5, "{:?}", warnings(&careless));
    }
}
