# Selection models by metafor, and the same likelihoods integrated piece by piece.
# Run: Rscript tests/golden/make/selection.R > tests/golden/selection.json
suppressMessages({library(metafor); library(jsonlite)})

# Simplices do not stop short for want of exact derivatives, as the other optimisers do at tight tolerances.
CONTROL <- list(optimizer="optim", optmethod="Nelder-Mead", reltol=1e-15, maxit=50000)
SMOOTH <- c(CONTROL, list(intCtrl=list(rel.tol=1e-8, subdivisions=1000)))
STEPS <- c(0.005,0.01,0.05,0.10,0.25,0.35,0.50,0.65,0.75,0.90,0.95,0.99,0.995,1)
MODERATE <- c(1,0.99,0.95,0.80,0.75,0.65,0.60,0.55,0.50,0.50,0.50,0.50,0.50,0.50)

sets <- list(
  bcg = list(d=escalc(measure="RR", ai=tpos, bi=tneg, ci=cpos, di=cneg, data=dat.bcg), alt="less", mod="ablat"),
  raudenbush = list(d=dat.raudenbush1985, alt="greater", mod="weeks"),
  bangert = list(d=dat.bangertdrowns2004, alt="greater", mod="grade"),
  baskerville = list(d=escalc(measure="GEN", yi=smd, sei=se, data=dat.baskerville2012), alt="greater", mod="pperf"))

# The normalising integral split where the weight has corners, each part to 1e-12.
normaliser <- function(w, m, s, sei, corners) {
  ends <- sort(unique(c(-Inf, corners * sei, m + c(-8, -3, 0, 3, 8) * s, Inf)))
  sum(sapply(seq_len(length(ends) - 1), function(i)
    integrate(function(y) w(y) * dnorm(y, m, s), ends[i], ends[i+1], rel.tol=1e-12, subdivisions=2000)$value))
}
exact <- function(r, X) {
  sg <- if (r$alternative == "less") -1 else 1
  y <- sg * as.numeric(r$yi); v <- r$vi; m <- sg * c(X %*% r$beta); s <- sqrt(v + r$tau2); lo <- r$pval.min
  corners <- c(qnorm(lo), -qnorm(lo), 0); corners <- corners[is.finite(corners)]
  ll <- 0
  for (i in seq_along(y)) {
    w <- function(x) { p <- pnorm(x / sqrt(v[i]), lower.tail=FALSE); p <- pmin(pmax(p, lo), 1 - lo)
      r$wi.fun(p, r$delta, x, v[i], preci=1, r$alternative, steps=0) }
    ll <- ll + log(w(y[i])) + dnorm(y[i], m[i], s[i], log=TRUE) - log(normaliser(w, m[i], s[i], sqrt(v[i]), corners))
  }
  ll
}
take <- function(r) list(beta=c(r$beta), se=r$se, tau2=r$tau2, tau2_se=if (length(r$se.tau2)) r$se.tau2 else NA, delta=r$delta, delta_se=r$se.delta, ll=c(logLik(r)),
  LRT=r$LRT, LRTdf=r$LRTdf, LRTp=r$LRTp, LRT_tau2=r$LRT.tau2, AIC=AIC(r), BIC=BIC(r))
out <- list(); data <- list()
for (n in names(sets)) {
  S <- sets[[n]]; D <- S$d; D <- D[!is.na(D$yi), ]
  mod <- D[[S$mod]]; if (is.null(mod)) mod <- rep(NA, nrow(D))
  data[[n]] <- list(yi=as.numeric(D$yi), vi=as.numeric(D$vi), moderator=as.numeric(mod), alternative=S$alt)
  D$m <- as.numeric(mod)
  ml <- rma(yi, vi, data=D, method="ML", control=list(threshold=1e-12, maxiter=10000)); ee <- rma(yi, vi, data=D, method="EE")
  go <- function(id, call, args) {
    r <- tryCatch(withCallingHandlers(eval(call), warning=function(w) invokeRestart("muffleWarning")), error=function(e) { message(n, " ", id, ": ", conditionMessage(e)); NULL })
    if (is.null(r)) return(invisible())
    one <- c(list(set=n, id=id, args=args), take(r))
    if (args$type %in% c("beta","halfnorm","negexp","logistic","power")) one$ll_exact <- exact(r, model.matrix(r))
    out[[length(out)+1]] <<- one
  }
  a <- S$alt; C <- CONTROL
  go("3PSM", quote(selmodel(ml, type="stepfun", steps=.025, alternative=a, control=C)), list(type="stepfun", steps=.025))
  go("4PSM", quote(selmodel(ml, type="stepfun", steps=c(.025,.5), alternative=a, control=C)), list(type="stepfun", steps=c(.025,.5)))
  go("step05", quote(selmodel(ml, type="stepfun", steps=.05, alternative=a, control=C)), list(type="stepfun", steps=.05))
  go("step3", quote(selmodel(ml, type="stepfun", steps=c(.025,.1,.5), alternative=a, control=C)), list(type="stepfun", steps=c(.025,.1,.5)))
  go("two", quote(selmodel(ml, type="stepfun", steps=.05, alternative="two.sided", control=C)), list(type="stepfun", steps=.05, alternative="two-sided"))
  go("common", quote(selmodel(ee, type="stepfun", steps=.025, alternative=a, control=C)), list(type="stepfun", steps=.025, model="common"))
  go("moderate", quote(selmodel(ml, type="stepfun", steps=STEPS, delta=MODERATE, alternative=a, control=C)), list(type="stepfun", weights="moderate"))
  go("trunc", quote(selmodel(ml, type="trunc", alternative=a, control=C)), list(type="trunc"))
  if (!anyNA(D$m)) { mr <- rma(yi, vi, mods=~m, data=D, method="ML", control=list(threshold=1e-12, maxiter=10000))
    go("moderator", quote(selmodel(mr, type="stepfun", steps=.025, alternative=a, control=C)), list(type="stepfun", steps=.025, moderators="m")) }
  for (ty in c("beta","halfnorm","negexp","logistic","power"))
    go(ty, bquote(selmodel(ml, type=.(ty), alternative=a, control=SMOOTH)), list(type=ty))
  go("negexp_alpha", quote(selmodel(ml, type="negexp", steps=.05, alternative=a, control=SMOOTH)), list(type="negexp", steps=.05))
  go("halfnorm_sei", quote(selmodel(ml, type="halfnorm", prec="sei", alternative=a, control=SMOOTH)), list(type="halfnorm", prec="sei"))
}
for (i in seq_along(out)) if (out[[i]]$id %in% c("negexp_alpha", "halfnorm_sei")) out[[i]]$ll_exact <- NULL
source_block <- list(call="metafor::selmodel(rma(method='ML'), ..., control=list(optmethod='Nelder-Mead', reltol=1e-15)); ll_exact: integrate() piece by piece at the estimates, rel.tol=1e-12",
  R=R.version.string, metafor=as.character(packageVersion("metafor")), metadat=as.character(packageVersion("metadat")), script="tests/golden/make/selection.R")
cat(toJSON(list(source=source_block, data=data, cases=out), digits=15, auto_unbox=TRUE, na="null"))
