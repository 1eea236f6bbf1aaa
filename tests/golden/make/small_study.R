# Tests of small-study effects that no function of metafor or meta offers as such; prints the rows of the tables
# "modified" and "robust" of tests/golden/small_study.json. Rscript small_study.R
# The other tables hold results of the calls listed in the file's source block.
suppressMessages({library(metafor); library(clubSandwich)})
number <- function(x) paste(formatC(as.numeric(x), digits = 17, format = "g"), collapse = ",")
control <- list(threshold = 1e-11, maxiter = 10000)

D <- dat.raudenbush1985
D <- D[!is.na(D$n1i), ]
D$w <- sqrt(1 / D$n1i + 1 / D$n2i)
D$cluster <- rep(1:10, each = 2)[seq_len(nrow(D))]
cat('"arms":', sprintf('{"yi":[%s],"vi":[%s],"n1":[%s],"n2":[%s],"cluster":[%s]}\n',
  number(D$yi), number(D$vi), number(D$n1i), number(D$n2i), number(D$cluster)))

row <- function(name, model, fit) {
  b <- if (inherits(fit, "rma")) cbind(fit$beta, fit$se, fit$pval) else coef(summary(fit))[, c(1, 2, 4)]
  cat(sprintf('modified ["%s","%s",%s]\n', name, model, number(c(b[1, ], b[2, ]))))
}
for (x in c("w", "I(w^2)")) {
  f <- as.formula(paste("yi ~", x))
  row(x, "lm", lm(f, data = D, weights = 1 / vi))
  row(x, "rma", rma(yi, vi, mods = as.formula(paste("~", x)), data = D, control = control))
}
for (x in c("sqrt(vi)", "vi", "w")) {
  f <- as.formula(paste("yi ~", x))
  for (type in c("CR0", "CR2")) for (by in c("cluster", "each")) {
    id <- if (by == "cluster") D$cluster else seq_len(nrow(D))
    # The working model is that of variances vi, as weighted least squares assumes.
    fits <- list(lm = rma(yi, vi, mods = as.formula(paste("~", x)), data = D, method = "EE"),
                 rma = rma(yi, vi, mods = as.formula(paste("~", x)), data = D, control = control))
    for (m in names(fits)) {
      t <- coef_test(fits[[m]], vcov = vcovCR(fits[[m]], cluster = id, type = type), test = "Satterthwaite")
      cat(sprintf('robust ["%s","%s","%s","%s",%s]\n', x, m, type, by,
        number(c(t$beta[1], t$SE[1], t$df_Satt[1], t$p_Satt[1], t$beta[2], t$SE[2], t$df_Satt[2], t$p_Satt[2]))))
    }
  }
}
