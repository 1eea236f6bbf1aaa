# Evaluates the R calls behind ../binary.json and says how far what they give lies from the stored numbers.
#
#   Rscript binary.R        (needs the R packages metafor and jsonlite; without meta its two tables are skipped)
#
# The file was filled with metafor 5.0-1 and meta 8.3-0; metafor 3.8-1 gives the same numbers. Iterative estimators run
# with tight controls.
suppressMessages({library(metafor); library(jsonlite)})
has_meta <- requireNamespace("meta", quietly = TRUE)
if (has_meta) suppressMessages(library(meta))
here <- dirname(normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))))
golden <- fromJSON(file.path(here, "..", "binary.json"), simplifyVector = FALSE)
number <- function(x) if (is.null(x)) NA_real_ else as.numeric(x)
sets <- lapply(golden$sets, function(set) as.data.frame(lapply(set, function(column) vapply(column, number, 0))))

mantel_haenszel <- function(row) {
  D <- sets[[row$set]]
  add <- if (row$zero_cells == "all") c(1/2, 1/2) else c(1/2, 0)
  to <- if (row$zero_cells == "all") c("all", "all") else c("only0", "none")
  run <- function(correct) if (row$measure %in% c("IRR", "IRD"))
    rma.mh(measure = row$measure, x1i = events1, t1i = time1, x2i = events2, t2i = time2, data = D, correct = correct) else
    rma.mh(measure = row$measure, ai = events1, n1i = total1, ci = events2, n2i = total2, data = D, correct = correct,
           add = add, to = to, drop00 = row$measure != "RD")
  fit <- run(FALSE)
  c(estimate = as.numeric(fit$beta), se = fit$se, Q = fit$QE, Q_df = fit$k.yi - 1, association = fit$MH,
    association_corrected = run(TRUE)$MH, breslow_day = fit$BD, tarone = fit$TA)
}
peto <- function(row) {
  fit <- rma.peto(ai = events1, n1i = total1, ci = events2, n2i = total2, data = sets[[row$set]], level = 100 * row$level)
  c(estimate = as.numeric(fit$beta), se = fit$se, Q = fit$QE, Q_df = fit$k.yi - 1, ci_low = fit$ci.lb, ci_high = fit$ci.ub)
}
of_meta <- function(fit) c(estimate = fit$TE.common, se = fit$seTE.common, Q = fit$Q, Q_df = fit$df.Q, tau2 = fit$tau2,
  random_estimate = fit$TE.random, random_se = fit$seTE.random, random_ci_low = fit$lower.random, random_ci_high = fit$upper.random)
revman <- function(row) {
  D <- sets[[row$set]]
  if (row$measure %in% c("IRR", "IRD"))
    return(of_meta(metainc(events1, time1, events2, time2, data = D, sm = row$measure, method = "MH", method.tau = "DL")))
  of_meta(metabin(events1, total1, events2, total2, data = D, sm = row$measure, method = "MH", method.tau = "DL",
    MH.exact = row$zero_cells == "none", incr = row$add, method.incr = if (row$zero_cells == "none") "only0" else row$zero_cells,
    RR.Cochrane = TRUE, Q.Cochrane = TRUE))
}
inverse_variance <- function(row) {
  D <- sets[[row$set]]
  control <- switch(row$tau2_method, REML = list(threshold = 1e-11, maxiter = 10000), PM = list(tol = 1e-13, maxiter = 10000))
  sm <- switch(row$measure, PLO = "PLOGIT", PR = "PRAW", MN = "MRAW", MNLN = "MLN", row$measure)
  pool <- function(f, ...) f(..., data = D, sm = sm, method.tau = row$tau2_method, control = control,
    method.random.ci = if (row$ci_method == "HK") "HK" else "classic")
  of_meta(if ("total" %in% names(D)) pool(metaprop, events, total, method = "Inverse") else
    if ("time" %in% names(D)) pool(metarate, events, time, method = "Inverse") else
    if ("r" %in% names(D)) pool(metacor, r, n) else
    if ("sd" %in% names(D)) pool(metamean, n, mean, sd) else pool(metainc, events1, time1, events2, time2, method = "Inverse"))
}

for (table in c("mantel_haenszel", "peto", if (has_meta) c("revman", "inverse_variance"))) {
  columns <- unlist(golden[[table]]$columns)
  worst <- 0
  for (cells in golden[[table]]$rows) {
    names(cells) <- columns
    cells <- cells[!vapply(cells, is.null, TRUE)]
    if (table == "mantel_haenszel" && cells$measure == "RD" && cells$variance != "Sato") stop("metafor has Sato's variance")
    found <- suppressWarnings(get(table)(cells))
    for (name in intersect(names(found), names(cells)))
      worst <- max(worst, abs(found[[name]] - cells[[name]]) / max(abs(cells[[name]]), 1e-8))
  }
  cat(sprintf("%-18s largest relative difference %.1e\n", table, worst))
}
