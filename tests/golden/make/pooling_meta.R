# Reference numbers for intervals, prediction intervals and subgroups, made with the R package meta.
#
#   Rscript pooling_meta.R DIRECTORY        (needs the R packages meta, metadat and jsonlite)
#
# writes pooling_meta.json into DIRECTORY, from the data sets in ../pooling_data.json. Debian does not package meta; it
# is on CRAN. Iterative estimators run with tight controls.
suppressMessages({library(meta); library(metadat); library(jsonlite)})
here <- dirname(normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(), value=TRUE))))
out <- commandArgs(trailingOnly=TRUE)[1]
sets <- fromJSON(file.path(here, "..", "pooling_data.json"))$sets
NAMES <- c("bcg_rr", "raudenbush", "cohen_z", "baskerville", "k3", "homog", "bangert")
control_of <- function(method) {
  if (method %in% c("ML", "REML", "EB")) return(list(threshold=1e-11, maxiter=10000))
  if (method == "PM") return(list(tol=1e-13, maxiter=10000))
  NULL
}
pool <- function(name, method, ...) metagen(as.numeric(sets[[name]]$yi), sqrt(as.numeric(sets[[name]]$vi)), method.tau=method, control=control_of(method), ...)
cell <- function(v) if (is.null(v) || is.na(v)) "null" else if (is.character(v)) paste0('"', v, '"') else
  if (is.infinite(v)) "null" else { s <- sprintf("%.15g", v); if (as.numeric(s) == v) s else sprintf("%.17g", v) }
row_of <- function(...) paste0("[", paste(vapply(list(...), cell, ""), collapse=","), "]")
table_of <- function(columns, rows) paste0('{"columns": ', toJSON(columns), ', "rows": [\n', paste(rows, collapse=",\n"), "\n]}")

heterogeneity <- ci <- pi <- tests <- levels_rows <- character(0)
for (name in NAMES) {
  x <- pool(name, "DL")
  heterogeneity <- c(heterogeneity, row_of(name, x$Q, x$df.Q, x$pval.Q, 100 * x$I2, 100 * x$lower.I2, 100 * x$upper.I2))
  for (method in c("DL", "REML", "PM", "SJ", "ML", "EB", "HE", "HS")) for (adhoc in c("classic", "", "se", "ci", "IQWiG6")) {
    x <- if (adhoc == "classic") pool(name, method, method.random.ci="classic") else pool(name, method, method.random.ci="HK", adhoc.hakn.ci=adhoc)
    code <- if (adhoc == "classic") "z" else if (adhoc == "") "HK" else paste0("HK_", adhoc)
    ci <- c(ci, row_of(name, method, code, x$TE.random, x$seTE.random, x$df.random, x$statistic.random, x$pval.random, x$lower.random, x$upper.random))
  }
  for (method in c("DL", "REML", "PM")) for (kind in c("V", "HTS", "S", "HK", "HK-PR")) for (adhoc in if (kind == "HK") c("", "se") else "") {   # meta ignores "se" with HK-PR
    x <- pool(name, method, prediction=TRUE, method.predict=kind, adhoc.hakn.pi=adhoc)
    pi <- c(pi, row_of(name, method, if (adhoc == "se") "HK_se" else "HK", kind, x$lower.predict, x$upper.predict))
  }
}
subgroups <- function(name, method, common, ci_method) {
  x <- metabin(tpos, tpos + tneg, cpos, cpos + cneg, data=dat.bcg, sm=if (name == "bcg_or") "OR" else "RR", method="Inverse", method.tau=method,
    method.random.ci=if (ci_method == "HK") "HK" else "classic", subgroup=alloc, tau.common=common, prediction=TRUE, prediction.subgroup=TRUE, control=control_of(method))
  kind <- if (common) "common" else "separate"
  tests <<- c(tests, row_of(name, method, kind, ci_method, x$Q.b.random, x$df.Q.b, x$pval.Q.b.random))
  for (g in x$subgroup.levels) levels_rows <<- c(levels_rows, row_of(name, method, kind, ci_method, g, x$k.w[[g]], x$TE.random.w[[g]], x$seTE.random.w[[g]],
    x$lower.random.w[[g]], x$upper.random.w[[g]], x$tau2.w[[g]], x$Q.w[[g]], 100 * x$I2.w[[g]], 100 * x$lower.I2.w[[g]], 100 * x$upper.I2.w[[g]], x$seTE.hakn.ci.w[[g]]))
}
for (method in c("DL", "REML", "PM")) for (common in c(TRUE, FALSE)) subgroups("bcg_rr", method, common, "z")
subgroups("bcg_or", "REML", FALSE, "HK")

source <- toJSON(list(R=R.version.string, meta=as.character(packageVersion("meta")), script="make/pooling_meta.R",
  calls=list(ci="metagen(yi, sqrt(vi), method.tau=, method.random.ci=, adhoc.hakn.ci=)", pi="metagen(yi, sqrt(vi), method.tau=, prediction=TRUE, method.predict=, adhoc.hakn.pi=)",
    subgroups='metabin(..., data=dat.bcg, method="Inverse", method.tau=, method.random.ci=, subgroup=alloc, tau.common=)'),
  control="threshold=1e-11 (ML, REML, EB), tol=1e-13 (PM)"), auto_unbox=TRUE)
tables <- list(heterogeneity=table_of(c("data", "Q", "df", "p", "I2", "I2_low", "I2_high"), heterogeneity),
  ci=table_of(c("data", "method", "ci_method", "estimate", "se", "df", "statistic", "p", "ci_low", "ci_high"), ci),
  pi=table_of(c("data", "method", "ci_method", "prediction_method", "pi_low", "pi_high"), pi),
  subgroup_tests=table_of(c("data", "method", "tau2", "ci_method", "Q_between", "df", "p"), tests),
  subgroup_levels=table_of(c("data", "method", "tau2", "ci_method", "level", "k", "estimate", "se", "ci_low", "ci_high", "tau2_level", "Q", "I2", "I2_low", "I2_high", "hk_se"), levels_rows))
writeLines(paste0('{"source": ', source, ",\n", paste0('"', names(tables), '": ', unlist(tables), collapse=",\n"), "\n}"), file.path(out, "pooling_meta.json"))
