# Reference numbers for pooling, made with metafor from the data sets in ../pooling_data.json.
#
#   Rscript pooling_metafor.R DIRECTORY        (needs the R packages metafor and jsonlite)
#
# writes pooling_metafor.json and pooling_subgroups.json into DIRECTORY. metafor 3.8-1 (Debian) and 5.0-1 agree on all of
# it to a relative 1e-13 (test="knha" with subgroups was not compared). Iterative estimators run with tight controls:
# metafor's defaults stop after five to six digits. Where such an estimate lies on the boundary metafor gives about
# 1e-12 rather than 0.
suppressMessages({library(metafor); library(jsonlite)})
here <- dirname(normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(), value=TRUE))))
out <- commandArgs(trailingOnly=TRUE)[1]
sets <- fromJSON(file.path(here, "..", "pooling_data.json"))$sets
set_of <- function(name) data.frame(yi=as.numeric(sets[[name]]$yi), vi=as.numeric(sets[[name]]$vi))

METHODS <- c("EE", "DL", "HE", "HS", "SJ", "ML", "REML", "EB", "PM")
TESTS <- c("z", "t", "knha", "adhoc")
NO_ADHOC <- c("mcdaniel_z", "dong_plo", "assink")   # large sets: the inflation is never at work there
control_of <- function(method) {
  if (method %in% c("ML", "REML", "EB")) return(list(threshold=1e-11, maxiter=10000))
  if (method == "PM") return(list(tol=1e-13, maxiter=10000))
  list()
}
fit <- function(D, method, ...) suppressWarnings(rma(yi, vi, data=D, method=method, control=control_of(method), ...))

# One row of a table: strings in quotes, numbers with 17 significant digits, NA as null.
cell <- function(v) if (is.null(v) || is.na(v)) "null" else if (is.character(v)) paste0('"', v, '"') else
  if (is.infinite(v)) paste0('"', v, '"') else { s <- sprintf("%.15g", v); if (as.numeric(s) == v) s else sprintf("%.17g", v) }
row_of <- function(...) paste0("[", paste(vapply(list(...), cell, ""), collapse=","), "]")
table_of <- function(columns, rows) paste0('{"columns": ', toJSON(columns), ', "rows": [\n', paste(rows, collapse=",\n"), "\n]}")
source_of <- function(...) toJSON(list(R=R.version.string, metafor=as.character(packageVersion("metafor")), script="make/pooling_metafor.R",
  also="metafor 5.0-1 agrees to a relative 1e-13 (not compared: test=\"knha\" with subgroups)", ...), auto_unbox=TRUE)
write_tables <- function(file, source, tables) writeLines(paste0('{"source": ', source, ",\n",
  paste0('"', names(tables), '": ', unlist(tables), collapse=",\n"), "\n}"), file.path(out, file))

homogeneity <- fits <- tests <- level90 <- profile <- character(0)
for (name in names(sets)) {
  D <- set_of(name)
  x <- fit(D, "EE")
  homogeneity <- c(homogeneity, row_of(name, x$k, x$QE, x$QEp))
  for (method in METHODS) for (test in TESTS) {
    if (method == "EE" && test %in% c("knha", "adhoc") || test == "adhoc" && name %in% NO_ADHOC) next
    x <- fit(D, method, test=test)
    p <- predict(x)
    if (test == "z") fits <- c(fits, row_of(name, method, c(x$beta), x$tau2, x$se.tau2, x$I2, x$H2))
    tests <- c(tests, row_of(name, method, test, x$se, x$zval, if (test == "z") NA else x$k - 1, x$pval, x$ci.lb, x$ci.ub, p$pi.lb, p$pi.ub))
  }
  x <- fit(D, "REML", level=90)
  p <- predict(x)
  level90 <- c(level90, row_of(name, x$ci.lb, x$ci.ub, p$pi.lb, p$pi.ub))
  for (level in c(95, 90)) {
    ci <- confint(fit(D, "REML"), type="QP", level=level, control=list(tol=1e-13, maxiter=10000))$random
    profile <- c(profile, do.call(row_of, c(list(name, level), as.list(c(t(ci[c(1, 3, 4), 2:3]))))))
  }
}
shares <- character(0)
for (name in c("bcg_rr", "k3")) for (method in c("EE", "DL", "REML")) {
  D <- set_of(name)
  shares <- c(shares, paste0('["', name, '","', method, '",[', paste(vapply(weights(fit(D, method)), cell, ""), collapse=","), "]]"))
}
write_tables("pooling_metafor.json",
  source_of(calls=list(fits="rma(yi, vi, method=, test=)", tests="rma(yi, vi, method=, test=), predict()", level90='rma(yi, vi, method="REML", level=90), predict()',
    q_profile='confint(rma(yi, vi, method="REML"), type="QP", level=)', weights="weights(rma(yi, vi, method=))"),
    control="threshold=1e-11 (ML, REML, EB), tol=1e-13 (PM, confint)"),
  list(homogeneity=table_of(c("data", "k", "Q", "Q_p"), homogeneity),
    fits=table_of(c("data", "method", "estimate", "tau2", "se_tau2", "I2", "H2"), fits),
    tests=table_of(c("data", "method", "test", "se", "statistic", "df", "p", "ci_low", "ci_high", "pi_low", "pi_high"), tests),
    level90=table_of(c("data", "ci_low", "ci_high", "pi_low", "pi_high"), level90),
    q_profile=table_of(c("data", "level", "tau2_low", "tau2_high", "I2_low", "I2_high", "H2_low", "H2_high"), profile),
    weights=table_of(c("data", "method", "percent"), shares)))

# Subgroups: each level alone; the test between levels with a tau2 for each; one tau2 for all (a meta-regression).
levels_rows <- separate <- common <- common_levels <- character(0)
for (name in c("bcg_rr", "raudenbush", "bonett_abt", "mcdaniel_z", "cohen_z")) for (method in c("EE", "DL", "REML", "PM", "SJ", "HE", "ML")) {
  D <- set_of(name); D$g <- sets[[name]]$levels; D <- D[!is.na(D$g), ]
  if (name != "cohen_z") {   # there most levels hold a single study, which has no tau2 of its own
    parts <- lapply(split(D, D$g), fit, method=method)
    for (g in names(parts)) { x <- parts[[g]]
      levels_rows <- c(levels_rows, row_of(name, method, g, x$k, c(x$beta), x$se, x$ci.lb, x$ci.ub, x$tau2, x$I2, x$QE)) }
    b <- vapply(parts, coef, 0); s <- vapply(parts, function(x) x$se, 0)
    x <- rma(b, sei=s, mods=~ factor(names(parts)), method="FE")
    separate <- c(separate, row_of(name, method, x$QM, x$QMdf[1], x$QMp))
  }
  for (test in c("z", if (method != "EE") "knha")) {
    x <- fit(D, method, mods=~ factor(g), test=test)
    common <- c(common, row_of(name, method, test, x$QM, x$QMdf[1], if (test == "z") NA else x$QMdf[2], x$QMp, x$tau2, x$QE))
    p <- predict(x); first <- !duplicated(D$g)
    if (test == "z") for (g in sort(unique(D$g))) { i <- which(first & D$g == g)
      common_levels <- c(common_levels, row_of(name, method, g, p$pred[i], p$se[i], p$ci.lb[i], p$ci.ub[i])) }
  }
}
write_tables("pooling_subgroups.json",
  source_of(calls=list(levels="rma(yi, vi, method=) on the rows of each level", separate='rma(estimates, sei=se, mods=~ level, method="FE"): QM',
    common="rma(yi, vi, mods=~ factor(g), method=, test=): QM, an F value with test=\"knha\"", common_levels="predict() of that model with test=\"z\""),
    control="threshold=1e-11 (ML, REML, EB), tol=1e-13 (PM)"),
  list(levels=table_of(c("data", "method", "level", "k", "estimate", "se", "ci_low", "ci_high", "tau2", "I2", "Q"), levels_rows),
    separate=table_of(c("data", "method", "Q_between", "df", "p"), separate),
    common=table_of(c("data", "method", "test", "statistic", "df", "df2", "p", "tau2", "Q_residual"), common),
    common_levels=table_of(c("data", "method", "level", "estimate", "se", "ci_low", "ci_high"), common_levels)))
