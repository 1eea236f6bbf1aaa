# Selection models by metafor 5.0-1 with its default optimiser, and by weightr 2.0.2, on data sets of metadat 1.6-0.
# Results are kept as JSON by set and model; the sets are those of selection.R, in the same order.
library(metafor); library(weightr); library(jsonlite)

sets <- list(
  bcg_rr = list(D=escalc(measure="RR", ai=tpos, bi=tneg, ci=cpos, di=cneg, data=dat.bcg), alt="less"),
  raudenbush = list(D=dat.raudenbush1985, alt="greater"),
  bangert = list(D=dat.bangertdrowns2004, alt="greater"),
  baskerville = list(D=escalc(measure="GEN", yi=smd, sei=se, data=dat.baskerville2012), alt="greater"))
steps <- c(0.005,0.01,0.05,0.10,0.25,0.35,0.5,0.65,0.75,0.9,0.95,0.99,0.995,1)
delta <- c(1,0.99,0.95,0.80,0.75,0.65,0.60,0.55,0.50,0.50,0.50,0.50,0.50,0.50)

cases <- list()
for (n in names(sets)) {
  D <- sets[[n]]$D; alt <- sets[[n]]$alt
  ml <- rma(yi, vi, data=D, method="ML", control=list(threshold=1e-11, maxiter=10000))
  S <- function(id, ...) cases[[paste0(n, "_", id)]] <<- try(selmodel(ml, alternative=alt, ...))
  S("3PSM", type="stepfun", steps=0.025); S("step05", type="stepfun", steps=0.05); S("4PSM", type="stepfun", steps=c(0.025,0.5))
  S("step3", type="stepfun", steps=c(0.025,0.1,0.5)); S("vevea", type="stepfun", steps=steps, delta=delta)
  for (type in c("beta","halfnorm","negexp","logistic","power","negexppow","trunc","truncest")) S(type, type=type)
  S("stepdec", type="stepfun", steps=c(0.025,0.1,0.5), decreasing=TRUE)
  cases[[paste0(n, "_3PSM_FE")]] <- selmodel(rma(yi, vi, data=D, method="EE"), type="stepfun", steps=0.025, alternative=alt)
  cases[[paste0(n, "_3PSM_two")]] <- selmodel(ml, type="stepfun", steps=0.05, alternative="two.sided")
  for (s in list(c(0.025,1), c(0.025,0.5,1), c(0.05,1)))
    cases[[paste0(n, "_weightr_", paste(s, collapse="_"))]] <- weightfunct(effect=as.numeric(D$yi), v=D$vi, steps=s)
}
# With the moderator that the JSON holds as `moderator`: selmodel(rma(yi, vi, mods=~moderator, ...), type="stepfun", steps=0.025).
saveRDS(cases, "selection_metafor5.rds")
