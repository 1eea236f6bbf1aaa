# Cumulative meta-analyses in an order that is not the table's; prints JSON lines for tests/golden/cumulative.json.
# Rscript cumulative.R
library(metafor)
control <- list(threshold = 1e-11, maxiter = 10000)
number <- function(x) paste0("[", paste(formatC(x, digits = 17, format = "g"), collapse = ","), "]")
report <- function(id, call, fit, year) {
  cat(sprintf('{"id":"%s","call":"%s","year":%s,"yi":%s,"vi":%s,"slab":%s,"estimate":%s,"se":%s,"p":%s,"ci_low":%s,"ci_high":%s,"tau2":%s,"Q":%s}\n',
    id, call, number(year), number(D$yi), number(D$vi), number(as.numeric(fit$slab)), number(fit$estimate),
    number(fit$se), number(fit$pval), number(fit$ci.lb), number(fit$ci.ub),
    number(if (is.null(fit$tau2)) rep(0, length(fit$se)) else fit$tau2), number(fit$Q)))
}
D <- escalc(measure = "RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
for (method in c("EE", "DL", "REML")) for (test in c("z", "t"))
  report(paste0("bcg_rr_by_year_", method, "_", test),
    sprintf("cumul(rma(yi, vi, data=D, method='%s', test='%s', slab=1:13), order=year)", method, test),
    cumul(rma(yi, vi, data = D, method = method, test = test, slab = 1:13, control = if (method == "REML") control else list()), order = D$year), D$year)
